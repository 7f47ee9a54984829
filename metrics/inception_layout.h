#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// The FID Inception as data. The network is a chain of blocks; a block sends its input through each of its
// branches and joins the results along the channels; a branch is a pool, then a chain of units, then perhaps
// a fork of units that all read the end of the chain.
namespace ddpm_eval::metrics {

enum class Pool {
  kNone,
  kAverage,     ///< 3x3, stride 1, the zeros around the map not counted
  kMax,         ///< 3x3, stride 1
  kMaxStride2,  ///< 3x3, stride 2, no padding
};

/// Convolution without bias, batch norm (eps 0.001), ReLU.
struct Unit {
  std::string name;
  int64_t in = 0;
  int64_t out = 0;
  int64_t kernel_h = 1;
  int64_t kernel_w = 1;
  int64_t stride = 1;
  int64_t pad_h = 0;
  int64_t pad_w = 0;
};

struct Branch {
  Pool pool = Pool::kNone;
  std::vector<Unit> chain;
  std::vector<Unit> fork;
};

struct Block {
  std::vector<Branch> branches;
};

inline constexpr int64_t kInceptionClasses = 1008;

/// Where features are taken. pytorch-fid and torch-fidelity name a layer by its channels.
enum class InceptionLayer {
  kFirstPool,   ///< "64"
  kSecondPool,  ///< "192"
  kMixed6e,     ///< "768", what an auxiliary classifier would see
  kPool3,       ///< "2048", where FID is defined
  kSpatial,     ///< what OpenAI's evaluator (ADM) takes its sFID of
};

/// Channels of Mixed_6d.branch1x1 that are the spatial features, after the rectifier, and the side of its
/// map.
inline constexpr int64_t kSpatialChannels = 7;
inline constexpr int64_t kSpatialSide = 17;

struct InceptionLayerInfo {
  InceptionLayer layer;
  std::string_view word;  ///< "768": what follows "inception:"; empty for pool3
  std::string_view name;  ///< "inception-v3-fid/768", in records
  int64_t dim;            ///< columns of the features
  size_t blocks;          ///< of inception_layout() up to the layer, the last one included
};

/// pool3 first.
std::span<const InceptionLayerInfo> inception_layers();

const InceptionLayerInfo& layer_info(InceptionLayer layer);

/// From the prepared image [n, 3, 299, 299] to the map that the layer's features are taken of: Mixed_7c
/// [n, 2048, 8, 8] for pool3; for the spatial ones Mixed_6d with its first branch alone, [n, 192, 17, 17],
/// which is the start of the whole block's channels, too. Units appear in the order of the published state
/// dict.
std::vector<Block> inception_layout(InceptionLayer layer = InceptionLayer::kPool3);

}  // namespace ddpm_eval::metrics
