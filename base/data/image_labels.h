#pragma once

#include "base/data/image_files.h"
#include "base/data/image_source.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Which class an image file is of, by the two customs there are: a file of labels, and a folder for each
// class.
namespace ddpm_eval::data {

/// Beside the images, as EDM's and StyleGAN's tools write it: {"labels": [["cat/1.png", 3], ...]}, or null
/// for images without.
inline constexpr auto kLabelsFile = "dataset.json";
inline constexpr uint64_t kMaxLabelsBytes = uint64_t{1} << 27;
/// Labels are below it.
inline constexpr int64_t kMaxClasses = 1 << 16;

/// Throws DataError naming `origin` for a file of labels of more than kMaxLabelsBytes.
void require_labels_size(const std::string& origin, uint64_t bytes);

struct FileLabels {
  Classes classes{};
  std::vector<int64_t> labels{};  ///< of all files, in their order; empty where there are no classes
};

/// The labels of all files. Where there is a dataset.json, it counts alone: every image needs a label, its
/// classes are those up to the largest label in it and have no names; entries of images that are not there
/// are passed over. Else the folder that an image lies in is its class, if there are several such folders and
/// they lie side by side: they are numbered in the order of their names' bytes, as torchvision's ImageFolder
/// does, but folders that are all named by different numbers ("0", "1", "10", or "00", "01", "10") are the
/// classes of these numbers and have no names. Throws DataError for a dataset.json that is damaged, has
/// labels beyond kMaxClasses, or two for one image, or none for some.
FileLabels label_files(const ImageFiles& files);

}  // namespace ddpm_eval::data
