#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

// The words of base/tensor/noise_kernel.h on the device: Philox4x32-10 with counter (block, step, index) and
// the same key. Compiled by nvcc alone.
namespace ddpm_eval::tensor::cuda {

/// Throws unless rows of `length` numbers have a stream of their own at `step`.
inline void check_stream(const char* kernel, int64_t step, int64_t length) {
  if (step < 0 || step >= (int64_t{1} << 31)) {
    throw std::runtime_error(std::string(kernel) + ": noise step " + std::to_string(step) +
                             " is out of range");
  }
  if (length >= int64_t{1} << 34) {
    throw std::runtime_error(std::string(kernel) + ": a row of " + std::to_string(length) + " numbers");
  }
}

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
