#pragma once

#include <cstdint>

// The words of base/tensor/noise_kernel.h on the device: Philox4x32-10 with counter (block, step, index) and
// the same key. Compiled by nvcc alone.
namespace ddpm_eval::tensor::cuda {

/// A step known at launch, or one read when the kernel runs, which is what a replayed graph needs.
struct StepSource {
  int64_t value = 0;
  const int64_t* device = nullptr;  ///< used instead of `value` unless null

  __device__ __forceinline__ uint32_t get() const {
    return static_cast<uint32_t>(device == nullptr ? value : *device);
  }
};

/// The four words of block `block` of the stream (key, index, step).
__device__ __forceinline__ uint4 philox_block(uint64_t key, uint64_t index, uint32_t step, uint32_t block) {
  constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier2 = 0xCD9E8D57;
  constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  uint4 c{block, step, static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32)};
  auto key0 = static_cast<uint32_t>(key);
  auto key1 = static_cast<uint32_t>(key >> 32);
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = static_cast<uint64_t>(kMultiplier0) * c.x;
    const uint64_t product2 = static_cast<uint64_t>(kMultiplier2) * c.z;
    c = uint4{static_cast<uint32_t>(product2 >> 32) ^ c.y ^ key0, static_cast<uint32_t>(product2),
              static_cast<uint32_t>(product0 >> 32) ^ c.w ^ key1, static_cast<uint32_t>(product0)};
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  return c;
}

/// Uniform on [0, 1) with 24 bits, exactly.
__device__ __forceinline__ float uniform01(uint32_t word) {
  return static_cast<float>(static_cast<int32_t>(word >> 8)) * 0x1p-24F;
}

}  // namespace ddpm_eval::tensor::cuda
