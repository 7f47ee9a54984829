#pragma once

#include <cstdint>

// The numbers behind base/tensor/noise.h, many at a time and without LibTorch. Private to base/tensor.
namespace ddpm_eval::tensor::detail {

/// One stream of Philox4x32-10 (Salmon et al. 2011), whose blocks of four words are counted from 0.
struct PhiloxStream {
  uint64_t key;
  uint64_t index;
  uint32_t step;
};

/// Blocks that philox_words() makes at a time.
inline constexpr int64_t kPhiloxBlocks = 64;

/// The 4 kPhiloxBlocks words from block `first` on.
void philox_words(const PhiloxStream& stream, uint32_t first, uint32_t* words);

/// `count` numbers uniform on [0, 1) with 24 bits, a word each.
void uniform01(const uint32_t* words, int64_t count, float* numbers);

/// Whether those numbers are at least `rate`: 1 or 0.
void at_least(const uint32_t* words, int64_t count, float rate, bool* kept);

}  // namespace ddpm_eval::tensor::detail
