#pragma once

#include "base/core/error.h"
#include "base/data/source_spec.h"
#include "ddpm/model_factory.h"

#include <string>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::eval {

class ImageSets;

struct TrainingData {
  at::Tensor data;  ///< uint8 [n, C, H, W] or float32 [n, 2]
  std::string name;
};

/// What section [data] names. Throws UsageError for a source that does not suit, DataError for one that
/// cannot be read, ResourceError if the points do not fit into memory.
/// Images come from `sets` where that is given.
TrainingData load_training_data(const ddpm::RunConfig& config, ImageSets* sets = nullptr);

/// Throws ResourceError about `what`, a key or a flag with its value, if `rows` rows of so many bytes, the
/// least that it asks for, are more than this machine's memory.
void require_memory(const core::Key& what, int64_t rows, double row_bytes);

/// All images of a source, its notes printed. Throws as data::load_image_dataset(), and ResourceError about
/// `what` for more noise than the memory holds; DataError where another process that works with this one has
/// other images.
data::ImageDataset load_all_images(const core::Key& what, const data::SourceSpec& spec);

/// x_0's coordinates as the network sees them.
struct Spread {
  double std = 1;          ///< the root of their mean variance
  double mean_square = 1;  ///< E[x_0^2]
};

/// `data` is as TrainingData has it, and standardised by `model`. In float64, without a copy of the images.
Spread spread_of(const ddpm::Model& model, const at::Tensor& data);

/// The standard deviation for a trained model, without its images: 1 stands for theirs, the most that pixels
/// in [-1, 1] can have; of points, 10,000 at most are drawn again.
double x_0_std(const ddpm::RunConfig& config, const ddpm::Model& model);

}  // namespace ddpm_eval::eval
