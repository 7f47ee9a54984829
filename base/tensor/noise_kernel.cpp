#include "base/tensor/noise_kernel.h"

#include "base/core/target_clones.h"

namespace ddpm_eval::tensor::detail {
namespace {

/// Below 2^24, which a signed integer holds, and so turns into a float in one instruction.
DDPM_EVAL_INLINE float uniform(uint32_t word) {
  return static_cast<float>(static_cast<int32_t>(word >> 8)) * 0x1p-24F;
}

}  // namespace

DDPM_EVAL_CLONES void philox_words(const PhiloxStream& stream, uint32_t first, uint32_t* words) {
  constexpr uint64_t kMultiplier0 = 0xD2511F53, kMultiplier2 = 0xCD9E8D57;
  constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  // A counter a lane; rounds outside, so that lanes are worked on side by side.
  uint32_t c0[kPhiloxBlocks], c1[kPhiloxBlocks], c2[kPhiloxBlocks], c3[kPhiloxBlocks];
  for (int64_t lane = 0; lane < kPhiloxBlocks; ++lane) {
    c0[lane] = first + static_cast<uint32_t>(lane);
    c1[lane] = stream.step;
    c2[lane] = static_cast<uint32_t>(stream.index);
    c3[lane] = static_cast<uint32_t>(stream.index >> 32);
  }
  auto key0 = static_cast<uint32_t>(stream.key);
  auto key1 = static_cast<uint32_t>(stream.key >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int64_t lane = 0; lane < kPhiloxBlocks; ++lane) {
      const uint64_t product0 = kMultiplier0 * c0[lane], product2 = kMultiplier2 * c2[lane];
      c0[lane] = static_cast<uint32_t>(product2 >> 32) ^ c1[lane] ^ key0;
      c2[lane] = static_cast<uint32_t>(product0 >> 32) ^ c3[lane] ^ key1;
      c1[lane] = static_cast<uint32_t>(product2);
      c3[lane] = static_cast<uint32_t>(product0);
    }
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  for (int64_t lane = 0; lane < kPhiloxBlocks; ++lane) {
    words[4 * lane] = c0[lane];
    words[4 * lane + 1] = c1[lane];
    words[4 * lane + 2] = c2[lane];
    words[4 * lane + 3] = c3[lane];
  }
}

DDPM_EVAL_CLONES void uniform01(const uint32_t* __restrict words, int64_t count, float* __restrict numbers) {
  for (int64_t i = 0; i < count; ++i) {
    numbers[i] = uniform(words[i]);
  }
}

DDPM_EVAL_CLONES void at_least(const uint32_t* __restrict words, int64_t count, float rate,
                               bool* __restrict kept) {
  for (int64_t i = 0; i < count; ++i) {
    kept[i] = uniform(words[i]) >= rate;
  }
}

}  // namespace ddpm_eval::tensor::detail
