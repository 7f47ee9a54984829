#pragma once

#include <cstdint>
#include <string>
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

inline constexpr int64_t kInceptionFeatures = 2048;
inline constexpr int64_t kInceptionClasses = 1008;

/// From the prepared image [n, 3, 299, 299] to Mixed_7c [n, 2048, 8, 8]. Units appear in the order of the
/// published state dict.
std::vector<Block> inception_layout();

}  // namespace ddpm_eval::metrics
