#include "ddpm/gated_mlp.h"

#include "base/core/error.h"
#include "base/tensor/shape.h"

#include <cmath>

#include <torch/types.h>

namespace ddpm_eval::ddpm {
namespace {

constexpr int64_t kMaxGatedWidth = 8192;
constexpr int64_t kMaxGatedLayers = 100;

/// torch.nn.Linear's start.
OutputLayer make_linear(ParameterMaker& maker, const std::string& name, int64_t in, int64_t out) {
  const double bound = 1 / std::sqrt(static_cast<double>(in));
  return {.weight = maker.uniform(name + ".weight", {out, in}, -bound, bound),
          .bias = maker.uniform(name + ".bias", {out}, -bound, bound)};
}

}  // namespace

void GatedMlpConfig::fields(core::ConfigVisitor& v) {
  v.value("width", width);
  v.value("layers", layers);
}

GatedMlp::GatedMlp(const GatedMlpConfig& config, int64_t dimensions, int64_t outputs, int64_t steps,
                   ParameterMaker maker)
    : dimensions_(dimensions) {
  DDPM_CHECK(dimensions >= 1 && outputs >= 1 && steps >= 1, "points of {} dimensions to {} outputs, {} steps",
             dimensions, outputs, steps);
  if (config.width < 1 || config.width > kMaxGatedWidth) {
    throw core::UsageError(core::Key{"model.gated_mlp.width"}, "{} is not within 1..{}", config.width,
                           kMaxGatedWidth);
  }
  if (config.layers < 0 || config.layers > kMaxGatedLayers) {
    throw core::UsageError(core::Key{"model.gated_mlp.layers"}, "{} is not within 0..{}", config.layers,
                           kMaxGatedLayers);
  }
  for (int64_t i = 0; i <= config.layers; ++i) {
    const auto name = i == 0 ? std::string("in") : fmt::format("layer.{}", i - 1);
    auto [weight, bias] = make_linear(maker, name, i == 0 ? dimensions : config.width, config.width);
    layers_.push_back(
        {std::move(weight), std::move(bias), maker.uniform(name + ".gate", {steps, config.width}, 0, 1)});
  }
  out_ = make_linear(maker, "out", config.width, outputs);
  parameters_ = maker.take();
}

at::Tensor GatedMlp::run(const at::Tensor& x_t, const at::Tensor& t,
                         const std::optional<TrainingPass>& /*pass*/) const {
  tensor::expect(x_t, torch::kFloat32, {-1, dimensions_}, "x_t");
  tensor::expect(t, torch::kInt64, {x_t.size(0)}, "t");
  return gated_pass(layers_, out_, x_t, t);
}

}  // namespace ddpm_eval::ddpm
