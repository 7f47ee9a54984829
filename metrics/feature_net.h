#pragma once

#include "base/tensor/precision.h"

#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::metrics {

/// What one batch of images becomes, on the device where the network computes: a GPU may still be at work on
/// it, and whoever reads a value on the CPU waits.
struct NetOutput {
  at::Tensor features;  ///< float32 [n, dim]
  at::Tensor
      logits;  ///< float32 [n, classes], without the classifier's bias; undefined if the network has none
  at::Tensor spatial = {};  ///< float32 [n, 2023], of the FID Inception if asked for; else undefined
};

/// The identity of a feature network, which every record repeats.
struct FeatureNetInfo {
  std::string name;            ///< "inception-v3-fid", "inception-v3-fid/768" or "fashion-mnist-small"
  std::string weights_sha256;  ///< of the weights file
  std::string preset;          ///< the tool whose pre-processing is used
  tensor::Precision precision = tensor::Precision::kFloat32;
  int64_t dim = 0;         ///< columns of the features
  int64_t classes = 0;     ///< columns of the logits; 0: none
  std::string convention;  ///< of a TorchScript file: what it is given, as a JSON object; else empty
  std::string note;        ///< e.g. that the weights are not the published ones; may be empty
};

/// A fixed network that turns images into features. Immutable and safe to call from several threads.
class FeatureNet {
 public:
  virtual ~FeatureNet() = default;
  virtual const FeatureNetInfo& info() const = 0;

  /// Images that forward() takes at a time. Fixed per network and number of threads, so that a score does not
  /// depend on a batch size.
  virtual int64_t micro_batch() const = 0;

  /// uint8 RGB [n, 3, H, W] of any size to the network's own input, float32 [n, C, h, w], resized and scaled
  /// as the preset says. Row by row: no row depends on its neighbours.
  virtual at::Tensor prepare(const at::Tensor& images_u8) const = 0;

  /// Features of exactly micro_batch() prepared images. No gradients.
  virtual NetOutput forward(const at::Tensor& input) const = 0;
};

}  // namespace ddpm_eval::metrics
