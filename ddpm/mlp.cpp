#include "ddpm/mlp.h"

#include "base/core/error.h"
#include "base/tensor/shape.h"
#include "ddpm/time_embedding.h"

#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

constexpr int64_t kMaxWidth = 8192;
constexpr int64_t kMaxLayers = 100;

}  // namespace

void MlpConfig::fields(core::ConfigVisitor& v) {
  v.value("width", width);
  v.value("layers", layers);
  v.value("residual", residual);
}

Mlp::Mlp(const MlpConfig& config, int64_t dimensions, int64_t outputs, ParameterMaker maker)
    : config_(config), dimensions_(dimensions) {
  DDPM_CHECK(dimensions >= 1 && outputs >= 1, "points of {} dimensions to {} outputs", dimensions, outputs);
  if (config.width < 4 || config.width > kMaxWidth || config.width % 2 != 0) {
    throw core::UsageError(core::Key{"model.mlp.width"}, "{} is not an even number from 4 to {}",
                           config.width, kMaxWidth);
  }
  if (config.layers < 1 || config.layers > kMaxLayers) {
    throw core::UsageError(core::Key{"model.mlp.layers"}, "{} is not within 1..{}", config.layers,
                           kMaxLayers);
  }
  time_0_ = Dense::make(maker, "time.0", config.width, config.width);
  time_1_ = Dense::make(maker, "time.1", config.width, (config.layers + 1) * config.width);
  in_ = Dense::make(maker, "in", dimensions, config.width);
  for (int64_t i = 0; i < config.layers; ++i) {
    layers_.push_back(Dense::make(maker, fmt::format("layer.{}", i), config.width, config.width));
  }
  out_ = Dense::make(maker, "out", config.width, outputs, kZeroInitScale);
  parameters_ = maker.take();
}

at::Tensor Mlp::run(const at::Tensor& x_t, const at::Tensor& t,
                    const std::optional<TrainingPass>& /*pass*/) const {
  tensor::expect(x_t, torch::kFloat32, {-1, dimensions_}, "x_t");
  tensor::expect(t, torch::kInt64, {x_t.size(0)}, "t");
  // A batch holds few different t, and sampling one: the time branch runs once for each.
  const auto [times, row, unused] = torch::_unique2(t, /*sorted=*/true, /*return_inverse=*/true);
  const at::Tensor hidden = torch::silu(time_0_(time_embedding(times, config_.width)));
  const auto shifts = time_1_(hidden).index_select(0, row).chunk(config_.layers + 1, 1);
  at::Tensor h = in_(x_t) + shifts[0];
  for (size_t i = 0; i < layers_.size(); ++i) {
    const at::Tensor y = layers_[i](torch::silu(h)) + shifts[i + 1];
    h = config_.residual ? h + y : y;
  }
  return out_(torch::silu(h));
}

}  // namespace ddpm_eval::ddpm
