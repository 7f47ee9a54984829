#pragma once

#include "base/core/config.h"
#include "ddpm/layers.h"
#include "ddpm/network.h"

#include <cstdint>
#include <vector>

namespace ddpm_eval::ddpm {

/// A small network for points in the plane.
struct MlpConfig {
  int64_t width = 128;   ///< of every hidden layer, and of the time embedding
  int64_t layers = 3;    ///< hidden layers after the first
  bool residual = true;  ///< adds each layer's input to its output

  void fields(core::ConfigVisitor& v);
};

/// h = in(x) + s_0; h = [h +] layer_i(swish(h) ) + s_i; out(swish(h)), where the s_i are one linear map of a
/// swish layer over the sinusoidal time embedding. Starts near zero.
class Mlp final : public DiffusionNetwork {
 public:
  /// For x of [n, dimensions] and an output of [n, outputs], weights from `maker`. Throws UsageError naming
  /// the key of a number out of range.
  Mlp(const MlpConfig& config, int64_t dimensions, int64_t outputs, ParameterMaker maker);

  const tensor::NamedTensors& parameters() const override { return parameters_; }

 protected:
  at::Tensor run(const at::Tensor& x_t, const at::Tensor& t,
                 const std::optional<TrainingPass>& pass) const override;

 private:
  MlpConfig config_;
  int64_t dimensions_;
  Dense in_, time_0_, time_1_, out_;
  std::vector<Dense> layers_;
  tensor::NamedTensors parameters_;
};

}  // namespace ddpm_eval::ddpm
