#pragma once

#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::data {

enum class Split { kTrain, kTest };

/// A set of images of one size in memory, for training.
struct ImageDataset {
  std::string name;      ///< "fashion-mnist:train"
  at::Tensor images_u8;  ///< uint8 [n, C, H, W]; C is 1 (greyscale) or 3 (RGB), as the data is stored
  at::Tensor labels;     ///< int64 [n] in [0, classes), or undefined
  int64_t classes = 0;
  std::vector<std::string> class_names;  ///< [classes], by label, or empty where they are numbers
  std::vector<std::string> notes;        ///< what a reader of a score or a run should know, a line each
};

/// Points in the plane, for the 2-D demonstrations.
struct PointDataset {
  std::string name;   ///< "swiss-roll"
  at::Tensor points;  ///< float32 [n, 2]
};

}  // namespace ddpm_eval::data
