#include "eval/training_data.h"

#include "base/core/config.h"
#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/core/seeds.h"
#include "base/data/points.h"
#include "base/data/source_spec.h"
#include "base/tensor/process_group.h"
#include "eval/console.h"
#include "eval/image_sets.h"

#include <algorithm>
#include <cmath>

#include <torch/types.h>
#include <unistd.h>

namespace ddpm_eval::eval {
namespace {

constexpr int64_t kEnoughForAStd = 10'000;

/// A stream of its own: a reference drawn from any small seed shares no point with the training data.
at::Tensor training_points(const ddpm::RunConfig& config, const std::string& kind, int64_t count) {
  const auto seed = core::stream_key(static_cast<uint64_t>(config.train.seed), "train.points");
  return data::make_points(kind, 0, count, seed);
}

}  // namespace

void require_memory(const core::Key& what, int64_t rows, double row_bytes) {
  const double needed = static_cast<double>(rows) * row_bytes;
  const double there =
      static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  if (needed > there) {
    throw core::ResourceError(what, "{} takes {:.4g} GB at least, and this machine has {:.4g} GB of memory",
                              rows, needed / 1e9, there / 1e9);
  }
}

data::ImageDataset load_all_images(const core::Key& what, const data::SourceSpec& spec) {
  if (spec.kind == data::SourceKind::kNoise) {
    const auto& shape = spec.noise_shape;
    require_memory(what, *spec.subset.count,
                   static_cast<double>(shape.height) * static_cast<double>(shape.width * shape.channels));
  }
  auto set = data::load_image_dataset(spec);
  for (const auto& note : set.notes) {
    print_note(note);
  }
  if (auto& group = tensor::process_group(); group.size() > 1) {
    const auto images = set.images_u8.contiguous();
    group.require_same("the images of " + set.name,
                       core::sha256_hex({static_cast<const char*>(images.data_ptr()), images.nbytes()}));
  }
  return set;
}

TrainingData load_training_data(const ddpm::RunConfig& config, ImageSets* sets) {
  return core::about_key({"data.source"}, [&]() -> TrainingData {
    const auto spec = data::parse_source(config.data.source);
    if (spec.kind == data::SourceKind::kPoints) {
      if (!spec.query.empty()) {
        throw core::UsageError("'{}': data.points and train.seed say which points are drawn", spec.text);
      }
      require_memory({"data.points"}, config.data.points, 2 * sizeof(float));
      return {training_points(config, spec.name, config.data.points), spec.text};
    }
    const core::Key key{"data.source"};
    const auto set = sets != nullptr ? sets->load(key, spec) : load_all_images(key, spec);
    return {set.images_u8, set.name};
  });
}

Spread spread_of(const ddpm::Model& model, const at::Tensor& data) {
  if (model.makes_images()) {
    const auto counts = torch::bincount(data.flatten(), {}, 256).to(torch::kFloat64);
    const auto levels = torch::arange(256, torch::kFloat64) / 127.5 - 1;
    const auto shares = counts / counts.sum();
    const double mean = (shares * levels).sum().item<double>();
    const double mean_square = (shares * levels.square()).sum().item<double>();
    return {std::sqrt(std::max(0.0, mean_square - mean * mean)), mean_square};
  }
  const auto x_0 = ((data - model.mean) / model.std).to(torch::kFloat64);
  return {std::sqrt((x_0 - x_0.mean(0)).square().mean().item<double>()), x_0.square().mean().item<double>()};
}

double x_0_std(const ddpm::RunConfig& config, const ddpm::Model& model) {
  if (model.makes_images()) {
    return 1;
  }
  const auto kind = data::parse_source(config.data.source).name;
  return spread_of(model, training_points(config, kind, std::min(config.data.points, kEnoughForAStd))).std;
}

}  // namespace ddpm_eval::eval
