#include "base/data/cifar10.h"

#include "base/core/error.h"
#include "base/core/paths.h"
#include "base/core/text.h"
#include "base/data/cifar10_format.h"
#include "base/data/cifar_batch.h"
#include "base/data/find_data.h"

#include <utility>

#include <torch/types.h>

namespace ddpm_eval::data {
namespace fs = std::filesystem;

namespace {

using core::DataError;

constexpr auto kFetchHint = "run 'ddpm-eval data fetch cifar10'";

fs::path find_folder(const fs::path& given, Split split) {
  const auto places = given.empty() ? core::data_candidates(kCifar10Folder) : std::vector<fs::path>{given};
  if (const auto found = find_cifar10(places, split)) {
    return *found;
  }
  if (!given.empty()) {
    throw DataError(
        "{}: no CIFAR-10 in it (data_batch_1.bin ... or test_batch.bin); {} or name another folder",
        given.string(), kFetchHint);
  }
  throw DataError("CIFAR-10 is not at {}; {}", places.front().string(), kFetchHint);
}

struct Parts {
  std::vector<at::Tensor> images, labels;
  std::vector<std::string> notes;
};

/// Appends one file's records.
void append_batch(const fs::path& path, Parts& parts) {
  std::vector<char> bytes;
  try {
    bytes = read_cifar10_batch(path);
  } catch (const DataError& error) {
    throw DataError("{}; {}", error.what(), kFetchHint);
  }
  auto batch = parse_cifar_binary(bytes, path.string(), kCifar10Classes);
  const int64_t count = batch.images_u8.size(0);
  parts.images.push_back(std::move(batch.images_u8));
  parts.labels.push_back(std::move(batch.labels));
  if (count != kCifar10BatchRecords) {
    parts.notes.push_back(fmt::format("{} holds {} records, the official file {}", path.filename().string(),
                                      core::grouped(count), core::grouped(kCifar10BatchRecords)));
  }
}

}  // namespace

bool is_cifar10_folder(const fs::path& folder) { return find_cifar10({folder}).has_value(); }

ImageDataset load_cifar10(const fs::path& folder, Split split) {
  const fs::path found = find_folder(folder, split);
  Parts parts;
  for (const auto& name : cifar10_batches(split)) {
    append_batch(found / name, parts);
  }
  ImageDataset dataset;
  dataset.name = split == Split::kTrain ? "cifar10:train" : "cifar10:test";
  dataset.images_u8 = torch::cat(parts.images);
  dataset.labels = torch::cat(parts.labels);
  dataset.classes = kCifar10Classes;
  dataset.class_names = cifar10_class_names();
  dataset.notes = std::move(parts.notes);
  return dataset;
}

}  // namespace ddpm_eval::data
