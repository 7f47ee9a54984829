#pragma once

#include "metrics/small_net.h"

#include <functional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

// Private to metrics: the layers of the small feature network, which its training and its inference share.
namespace ddpm_eval::metrics::small_net {

/// A square convolution without bias, padded so that stride 1 keeps the size and stride 2 gives ceil(size /
/// 2); normalisation and ReLU follow.
struct ConvUnit {
  std::string name;
  int64_t in = 0;
  int64_t out = 0;
  int64_t kernel = 1;
  int64_t stride = 1;
};

enum class Pool { kNone, kAverage, kMax, kMaxHalving };  ///< all 3 x 3; the divisor leaves out the padding

/// One way through a block: a pool, if any, then its units.
struct Branch {
  Pool pool = Pool::kNone;
  std::vector<ConvUnit> units;
};

/// The outputs of all branches side by side.
using Block = std::vector<Branch>;

struct Layout {
  std::vector<Block> blocks;
  int64_t dim = 0;  ///< channels after the last block
};

Layout make_layout(const SmallNetOptions& options);

/// All units in the order of evaluation.
std::vector<ConvUnit> units(const Layout& layout);

/// A unit with its normalisation and ReLU: [n, in, h, w] to [n, out, h', w'].
using ApplyUnit = std::function<at::Tensor(const ConvUnit& unit, const at::Tensor& input)>;

/// [n, channels, side, side] to [n, dim]: the mean over all positions of the last block.
at::Tensor run(const Layout& layout, const at::Tensor& input, const ApplyUnit& apply);

/// uint8 [n, C, side, side] to the network's input: float32 in [-1, 1], channels last.
at::Tensor scale_images(const at::Tensor& images_u8);

}  // namespace ddpm_eval::metrics::small_net
