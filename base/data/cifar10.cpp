#include "base/data/cifar10.h"

#include "base/core/error.h"
#include "base/core/paths.h"
#include "base/data/byte_stream.h"

#include <cstring>
#include <optional>

#include <torch/types.h>

namespace ddpm_eval::data {
namespace fs = std::filesystem;

namespace {

using core::DataError;

constexpr auto kFolderName = "cifar-10-batches-bin";
constexpr auto kFetchHint = "run 'ddpm-eval data fetch cifar10'";
constexpr int64_t kSide = 32;
constexpr int64_t kPixels = 3 * kSide * kSide;
constexpr int64_t kRecordBytes = 1 + kPixels;
constexpr int64_t kClasses = 10;

std::vector<std::string> batch_names(Split split) {
  if (split == Split::kTest) {
    return {"test_batch.bin"};
  }
  std::vector<std::string> names;
  for (int i = 1; i <= 5; ++i) {
    names.push_back(fmt::format("data_batch_{}.bin", i));
  }
  return names;
}

/// `folder` itself or the official folder in it, whichever holds a batch.
std::optional<fs::path> folder_with_batches(const fs::path& folder) {
  std::error_code error;
  for (const auto& candidate : {folder, folder / kFolderName}) {
    for (const auto* name : {"data_batch_1.bin", "test_batch.bin"}) {
      if (fs::exists(candidate / name, error)) {
        return candidate;
      }
    }
  }
  return std::nullopt;
}

fs::path find_folder(const fs::path& given) {
  const auto candidates = given.empty() ? core::data_candidates(kFolderName) : std::vector<fs::path>{given};
  for (const auto& candidate : candidates) {
    if (const auto found = folder_with_batches(candidate)) {
      return *found;
    }
  }
  if (!given.empty()) {
    throw DataError(
        "{}: no CIFAR-10 in it (data_batch_1.bin ... or test_batch.bin); {} or name another folder",
        given.string(), kFetchHint);
  }
  throw DataError("CIFAR-10 is not at {}; {}", candidates.front().string(), kFetchHint);
}

/// Appends one file's records.
void read_batch(const fs::path& path, std::vector<at::Tensor>& images, std::vector<at::Tensor>& labels) {
  std::error_code error;
  if (!fs::exists(path, error)) {
    throw DataError("{}: is missing; {}", path.string(), kFetchHint);
  }
  FileStream file(path);
  const auto bytes = static_cast<int64_t>(file.size());
  if (bytes == 0 || bytes % kRecordBytes != 0) {
    throw DataError("{}: {} bytes are no whole number of records of {}; the file is cut short: {}",
                    path.string(), bytes, kRecordBytes, kFetchHint);
  }
  const int64_t count = bytes / kRecordBytes;
  const at::Tensor records = torch::empty({count, kRecordBytes}, torch::kUInt8);
  file.read(records.data_ptr(), file.size());
  const at::Tensor batch_labels = records.select(1, 0).to(torch::kInt64);
  const auto* label = batch_labels.data_ptr<int64_t>();
  for (int64_t i = 0; i < count; ++i) {
    if (label[i] >= kClasses) {
      throw DataError("{}: label {} in record {}, where 0 to 9 are possible; the file is damaged: {}",
                      path.string(), label[i], i, kFetchHint);
    }
  }
  images.push_back(records.narrow(1, 1, kPixels).reshape({count, 3, kSide, kSide}));
  labels.push_back(batch_labels);
}

}  // namespace

bool is_cifar10_folder(const fs::path& folder) { return folder_with_batches(folder).has_value(); }

ImageDataset load_cifar10(const fs::path& folder, Split split) {
  const fs::path found = find_folder(folder);
  std::vector<at::Tensor> images, labels;
  for (const auto& name : batch_names(split)) {
    read_batch(found / name, images, labels);
  }
  ImageDataset dataset;
  dataset.name = split == Split::kTrain ? "cifar10:train" : "cifar10:test";
  dataset.images_u8 = torch::cat(images);
  dataset.labels = torch::cat(labels);
  dataset.classes = kClasses;
  return dataset;
}

}  // namespace ddpm_eval::data
