#include "base/data/cifar_archive.h"

#include "base/core/error.h"
#include "base/core/paths.h"
#include "base/core/text.h"
#include "base/data/cifar10_format.h"
#include "base/data/cifar_batch.h"
#include "base/data/tar_reader.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <torch/types.h>

namespace ddpm_eval::data {
namespace fs = std::filesystem;

namespace {

using core::DataError;

/// The largest official file, CIFAR-100's training set, has 155 MB.
constexpr uint64_t kMaxCifarFile = uint64_t{1} << 28;
constexpr uint64_t kMaxCifarArchive = uint64_t{1} << 31;
constexpr int64_t kCifar100Train = 50'000, kCifar100Test = 10'000;

struct ReleaseFolder {
  const char* folder;
  CifarRelease release;
};
constexpr ReleaseFolder kReleases[] = {{"cifar-10-batches-bin", {10, false}},
                                       {"cifar-10-batches-py", {10, true}},
                                       {"cifar-100-binary", {100, false}},
                                       {"cifar-100-python", {100, true}}};

/// The names of a split's files, in their order.
std::vector<std::string> files_of(const CifarRelease& release, Split split) {
  const bool train = split == Split::kTrain;
  if (release.classes == kCifar100Classes) {
    return {std::string(train ? "train" : "test") + (release.is_pickled ? "" : ".bin")};
  }
  auto names = cifar10_batches(split);
  if (release.is_pickled) {
    for (auto& name : names) {
      name = fs::path(name).stem().string();
    }
  }
  return names;
}

/// As fine_label_names.txt has them, by label.
const std::vector<std::string>& cifar100_class_names() {
  static const std::vector<std::string> names = {
      "apple",       "aquarium_fish", "baby",      "bear",       "beaver",       "bed",
      "bee",         "beetle",        "bicycle",   "bottle",     "bowl",         "boy",
      "bridge",      "bus",           "butterfly", "camel",      "can",          "castle",
      "caterpillar", "cattle",        "chair",     "chimpanzee", "clock",        "cloud",
      "cockroach",   "couch",         "crab",      "crocodile",  "cup",          "dinosaur",
      "dolphin",     "elephant",      "flatfish",  "forest",     "fox",          "girl",
      "hamster",     "house",         "kangaroo",  "keyboard",   "lamp",         "lawn_mower",
      "leopard",     "lion",          "lizard",    "lobster",    "man",          "maple_tree",
      "motorcycle",  "mountain",      "mouse",     "mushroom",   "oak_tree",     "orange",
      "orchid",      "otter",         "palm_tree", "pear",       "pickup_truck", "pine_tree",
      "plain",       "plate",         "poppy",     "porcupine",  "possum",       "rabbit",
      "raccoon",     "ray",           "road",      "rocket",     "rose",         "sea",
      "seal",        "shark",         "shrew",     "skunk",      "skyscraper",   "snail",
      "snake",       "spider",        "squirrel",  "streetcar",  "sunflower",    "sweet_pepper",
      "table",       "tank",          "telephone", "television", "tiger",        "tractor",
      "train",       "trout",         "tulip",     "turtle",     "wardrobe",     "whale",
      "willow_tree", "wolf",          "woman",     "worm"};
  return names;
}

/// Of an official file.
int64_t official_count(const CifarRelease& release, Split split) {
  return release.classes == kCifar10Classes ? kCifar10BatchRecords
         : split == Split::kTrain           ? kCifar100Train
                                            : kCifar100Test;
}

/// The files of `names`, whatever their folder, by name.
std::map<std::string, CifarBatch> read_files(const fs::path& archive, const CifarRelease& release,
                                             const std::vector<std::string>& names) {
  std::map<std::string, CifarBatch> batches;
  TarReader reader(archive, 0, kMaxCifarArchive);
  while (const auto entry = reader.next()) {
    const auto name = fs::path(entry->name).filename().string();
    if (std::ranges::find(names, name) == names.end()) {
      continue;
    }
    const auto origin = archive.string() + ": " + name;
    if (entry->kind != TarReader::Kind::kFile || entry->size > kMaxCifarFile) {
      throw DataError("{}: is no file of CIFAR-{}, as the official archive has it", origin, release.classes);
    }
    if (batches.contains(name)) {
      throw DataError("{}: is in it twice", origin);
    }
    std::vector<char> bytes(entry->size);
    reader.read(bytes.data(), bytes.size());
    batches.emplace(name, release.is_pickled ? parse_cifar_pickle(bytes, origin, release.classes)
                                             : parse_cifar_binary(bytes, origin, release.classes));
  }
  return batches;
}

}  // namespace

std::optional<CifarRelease> cifar_release(const fs::path& archive) {
  try {
    TarReader reader(archive);
    const auto entry = reader.next();
    const auto place = fs::path(entry ? entry->name : "").lexically_normal();
    for (const auto& known : kReleases) {
      if (!place.empty() && *place.begin() == known.folder) {
        return known.release;
      }
    }
  } catch (const DataError&) {
    // What cannot be read is told by whoever opens it as an archive of images.
  }
  return std::nullopt;
}

ImageDataset load_cifar_archive(const fs::path& archive, int64_t classes, Split split) {
  const auto release = cifar_release(archive);
  if (!release || release->classes != classes) {
    throw DataError(
        "{}: is no official archive of CIFAR-{} (cifar-{}-binary.tar.gz or cifar-{}-python.tar.gz)",
        archive.string(), classes, classes, classes);
  }
  const auto names = files_of(*release, split);
  auto batches = read_files(archive, *release, names);
  const bool ten = classes == kCifar10Classes;
  ImageDataset dataset;
  dataset.name = fmt::format("cifar{}:{}", classes, split == Split::kTrain ? "train" : "test");
  dataset.classes = classes;
  dataset.class_names = ten ? cifar10_class_names() : cifar100_class_names();
  std::vector<at::Tensor> images, labels;
  for (const auto& name : names) {
    const auto batch = batches.find(name);
    if (batch == batches.end()) {
      throw DataError("{}: '{}' is missing from it", archive.string(), name);
    }
    const int64_t count = batch->second.images_u8.size(0), official = official_count(*release, split);
    if (count != official) {
      dataset.notes.push_back(fmt::format("{} holds {} images, the official file {}", name,
                                          core::grouped(count), core::grouped(official)));
    }
    images.push_back(std::move(batch->second.images_u8));
    labels.push_back(std::move(batch->second.labels));
  }
  dataset.images_u8 = torch::cat(images);
  dataset.labels = torch::cat(labels);
  return dataset;
}

fs::path find_cifar100() {
  std::error_code error;
  for (const char* name : {"cifar-100-binary.tar.gz", "cifar-100-python.tar.gz"}) {
    for (auto& place : core::data_candidates(name)) {
      if (fs::is_regular_file(place, error)) {
        return place;
      }
    }
  }
  throw DataError(
      "CIFAR-100 is not at {} or cifar-100-python.tar.gz; put the official archive there, or write "
      "cifar100:train@FILE",
      core::data_candidates("cifar-100-binary.tar.gz").front().string());
}

}  // namespace ddpm_eval::data
