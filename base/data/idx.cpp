#include "base/data/idx.h"

#include "base/core/error.h"
#include "base/core/paths.h"
#include "base/core/text.h"
#include "base/data/find_data.h"

#include <torch/types.h>

namespace ddpm_eval::data {
namespace fs = std::filesystem;

namespace {

using core::DataError;

/// Of Xiao et al. 2017, by label.
const std::vector<std::string>& fashion_names() {
  static const std::vector<std::string> names = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                                 "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
  return names;
}

at::Tensor read_idx(const fs::path& path, IdxKind kind) {
  GzReader reader(path);
  const auto header = read_idx_header(reader, kind);
  at::Tensor array = torch::empty(header.shape, torch::kUInt8);
  reader.read_exactly(array.data_ptr(), header.payload_bytes);
  reader.expect_end();
  return array;
}

}  // namespace

ImageDataset load_idx(const std::string& name, const fs::path& images_path, const fs::path& labels_path) {
  ImageDataset dataset;
  dataset.name = name;
  dataset.images_u8 = read_idx(images_path, IdxKind::kImages).unsqueeze(1);
  const at::Tensor labels = read_idx(labels_path, IdxKind::kLabels);
  check_idx_labels(labels_path.string(), {labels.data_ptr<uint8_t>(), static_cast<size_t>(labels.numel())});
  dataset.labels = labels.to(torch::kInt64);
  dataset.classes = kIdxClasses;
  if (dataset.labels.size(0) != dataset.images_u8.size(0)) {
    throw DataError("{}: {} labels for the {} images of {}", labels_path.string(), dataset.labels.size(0),
                    dataset.images_u8.size(0), images_path.filename().string());
  }
  return dataset;
}

ImageDataset load_mnist_like(const std::string& name, Split split, const fs::path& folder) {
  const IdxSet& files = name == "mnist" ? mnist_files() : fashion_mnist_files();
  const auto places = folder.empty() ? core::data_candidates(name) : std::vector<fs::path>{folder};
  const auto found = find_idx_set(places, files, split).value_or(places.front());
  const bool train = split == Split::kTrain;
  const IdxFile& images = files[train ? 0 : 2];
  const auto images_path = find_idx(found, images), labels_path = find_idx(found, files[train ? 1 : 3]);
  if (images_path.empty() || labels_path.empty()) {
    throw DataError("{}[.gz] and its labels are not in {}; run 'ddpm-eval data fetch {}'{}", images.name,
                    found.string(), name,
                    name == "fashion-mnist" ? " or install Debian's dataset-fashion-mnist" : "");
  }
  auto dataset = load_idx(name + (train ? ":train" : ":test"), images_path, labels_path);
  if (name == "fashion-mnist") {
    dataset.class_names = fashion_names();
  }
  if (const int64_t count = dataset.images_u8.size(0); count != images.count) {
    dataset.notes.push_back(fmt::format("{} holds {} images, the official file {}",
                                        images_path.filename().string(), core::grouped(count),
                                        core::grouped(images.count)));
  }
  return dataset;
}

}  // namespace ddpm_eval::data
