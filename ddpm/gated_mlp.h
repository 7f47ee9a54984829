#pragma once

#include "base/core/config.h"
#include "ddpm/gated_pass.h"
#include "ddpm/network.h"
#include "ddpm/parameter_maker.h"

#include <cstdint>
#include <vector>

namespace ddpm_eval::ddpm {

/// A network for points in which every t has gates of its own, as in well-known DDPM notebooks.
struct GatedMlpConfig {
  int64_t width = 128;  ///< of every hidden layer
  int64_t layers = 2;   ///< gated layers after the first

  void fields(core::ConfigVisitor& v);
};

/// h = in(x) * g_0[t]; h = layer_i(softplus(h)) * g_i[t]; out(softplus(h)). A gate g_i is a table [steps,
/// width]: the rows of neighbouring t share nothing, and each is trained by its own t alone. Starts as
/// PyTorch does: layers uniform within +-1 / sqrt(fan_in), weights and biases; gates uniform on [0, 1).
class GatedMlp final : public DiffusionNetwork {
 public:
  /// For x of [n, dimensions], an output of [n, outputs] and t in 0..steps-1, weights from `maker`. Throws
  /// UsageError naming the key of a number out of range.
  GatedMlp(const GatedMlpConfig& config, int64_t dimensions, int64_t outputs, int64_t steps,
           ParameterMaker maker);

  const tensor::NamedTensors& parameters() const override { return parameters_; }

 protected:
  at::Tensor run(const at::Tensor& x_t, const at::Tensor& t,
                 const std::optional<TrainingPass>& pass) const override;

 private:
  int64_t dimensions_;
  std::vector<GatedLayer> layers_;
  OutputLayer out_;
  tensor::NamedTensors parameters_;
};

}  // namespace ddpm_eval::ddpm
