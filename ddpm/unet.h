#pragma once

#include "base/core/config.h"
#include "base/tensor/gpu_graph.h"
#include "ddpm/network.h"
#include "ddpm/parameter_maker.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace ddpm_eval::ddpm {

/// Width and depth of the U-Net. The defaults are the CIFAR-10 network of Ho et al. 2020.
struct UNetConfig {
  int64_t base_channels = 128;
  std::vector<int64_t> multipliers = {1, 2, 2, 2};  ///< channels per level, in units of base_channels
  int64_t res_blocks = 2;                           ///< per level on the way down; one more on the way up
  std::vector<int64_t> attention_resolutions = {
      16};               ///< sides of the levels with attention; the middle has it
  double dropout = 0.1;  ///< in [0, 1)
  int64_t groups = 32;   ///< of every group norm; divides base_channels

  void fields(core::ConfigVisitor& v);
};

/// What the data decides.
struct UNetShape {
  int64_t in_channels = 3;
  int64_t out_channels = 3;
  int64_t image_side = 32;
};

/// The U-Net of the official DDPM code: 35,746,307 parameters in 328 tensors for CIFAR-10, under the names of
/// its PyTorch port ("down.0.block.0.norm1.weight"). GroupNorm eps 1e-6, sin-then-cos time embedding, right
/// and bottom padding when halving, nearest neighbour when doubling, Glorot-uniform weights, zero biases, and
/// conv2, proj_out and conv_out near zero.
class UNet final : public DiffusionNetwork {
 public:
  /// Weights come from `maker`. Throws UsageError naming the key for a side that is not divisible by
  /// 2^(levels - 1), an attention resolution that no level has, groups that do not divide base_channels, or
  /// any number out of range.
  UNet(const UNetConfig& config, const UNetShape& shape, ParameterMaker maker);
  ~UNet() override;

  /// As the base class says; x_t [n, in_channels, image_side, image_side] gives [n, out_channels, ...].
  const tensor::NamedTensors& parameters() const override { return parameters_; }

  std::unique_ptr<const DiffusionNetwork> prepare(tensor::Precision precision) const override;

 protected:
  at::Tensor run(const at::Tensor& x_t, const at::Tensor& t,
                 const std::optional<TrainingPass>& pass) const override;

 private:
  struct Layers;
  struct Frozen;

  at::Tensor train_on_gpu(const at::Tensor& x_t, const at::Tensor& t, const TrainingPass& pass) const;

  UNetConfig config_;
  UNetShape shape_;
  std::unique_ptr<const Layers> layers_;
  tensor::NamedTensors parameters_;
  std::unique_ptr<tensor::ReplayedFunction> replayed_;  ///< the training pass on a GPU
};

}  // namespace ddpm_eval::ddpm
