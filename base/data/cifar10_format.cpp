#include "base/data/cifar10_format.h"

#include "base/core/error.h"
#include "base/core/file_io.h"

namespace ddpm_eval::data {

const std::vector<std::string>& cifar10_batches(Split split) {
  static const std::vector<std::string> train = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                                 "data_batch_4.bin", "data_batch_5.bin"};
  static const std::vector<std::string> test = {"test_batch.bin"};
  return split == Split::kTrain ? train : test;
}

const std::vector<std::string>& cifar10_class_names() {
  static const std::vector<std::string> names = {"airplane", "automobile", "bird",  "cat",  "deer",
                                                 "dog",      "frog",       "horse", "ship", "truck"};
  return names;
}

std::vector<char> read_cifar10_batch(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    throw core::DataError("{}: is missing", path.string());
  }
  auto bytes = core::read_file(path);
  if (bytes.empty() || bytes.size() % kCifar10Record != 0) {
    throw core::DataError("{}: {} bytes are no whole number of records of {}; the file is cut short",
                          path.string(), bytes.size(), kCifar10Record);
  }
  for (size_t at = 0; at < bytes.size(); at += kCifar10Record) {
    if (const auto label = static_cast<uint8_t>(bytes[at]); label >= kCifar10Classes) {
      throw core::DataError("{}: label {} in record {}, where 0 to 9 are possible; the file is damaged",
                            path.string(), label, at / kCifar10Record);
    }
  }
  return bytes;
}

}  // namespace ddpm_eval::data
