#pragma once

#include "base/tensor/named_tensor.h"
#include "base/tensor/precision.h"
#include "metrics/feature_net.h"
#include "metrics/inception_layout.h"
#include "metrics/preset.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

// The Inception-v3 that FID is defined on: the TensorFlow graph of 2015-12-05 (Szegedy et al. 2015, Heusel et
// al. 2017), 94 convolutions with batch norm and a classifier of 1008 outputs. It differs from torchvision's
// inception_v3 in its average pools (padding is not counted), the pool of Mixed_7c (a maximum) and its
// classifier.
namespace ddpm_eval::metrics {

/// Side of the images the network sees.
inline constexpr int64_t kInceptionSide = 299;

/// SHA-256 of the published weights, which pytorch-fid and torch-fidelity serve under two names
/// (pt_inception-2015-12-05-6726825d.pth, weights-inception-2015-12-05-6726825d.pth).
inline constexpr std::string_view kPublishedInceptionSha256 =
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2";

struct InceptionOptions {
  Preset preset = find_preset(kDefaultPreset);                ///< decides the pre-processing
  InceptionLayer layer = InceptionLayer::kPool3;              ///< where the features are taken
  bool spatial = false;                                       ///< beside pool3's features, NetOutput::spatial
  tensor::Precision precision = tensor::Precision::kFloat32;  ///< of the network, not of what it is given
  std::string weights_sha256 = {};                            ///< of the file that the weights came from
  std::string origin = "weights";                             ///< that file, for error messages
};

/// The network with batch norm folded into the convolutions (in float64). `weights` is the published state
/// dict, in any order; its `num_batches_tracked` entries may be absent. Features are the global means of the
/// layer's map, for pool3 the 2048 of Mixed_7c, and what lies above the layer is not run. The spatial
/// features are a map itself, [17, 17, 7] in the order of TensorFlow: rows, columns, channels. Logits are the
/// 1008 outputs without bias, with pool3 alone. Throws DataError naming the first tensor that is missing,
/// superfluous, of another shape or dtype, or not finite.
std::unique_ptr<FeatureNet> make_inception(const tensor::NamedTensors& weights,
                                           const InceptionOptions& options = {});

/// One entry of the state dict.
struct TensorSpec {
  std::string name;
  std::vector<int64_t> shape;
  at::ScalarType dtype = at::kFloat;
  bool optional = false;
};

/// The published state dict in its own order: 472 float32 tensors and 94 optional int64 counters.
std::vector<TensorSpec> expected_inception_tensors();

}  // namespace ddpm_eval::metrics
