#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <ATen/core/Tensor.h>

// Counter-based randomness: every number is a pure function of (seed, purpose, index, step, position), by
// Philox4x32-10 (Salmon et al. 2011; the engine is LibTorch's). Nothing has state, so nothing has to be saved
// for a resumed run to go on bit for bit, and the i-th sample does not depend on batch size or on the number
// of processes.
namespace ddpm_eval::tensor {

/// Names a family of draws. Purpose strings are part of the file format: changing one changes every number
/// made by it.
struct NoiseKey {
  uint64_t seed = 0;
  std::string_view purpose;
};

/// Standard normal float32 rows [indices.size(), row_shape...]; row r depends on (key, indices[r], step)
/// alone. Box-Muller on 32-bit uniforms: |value| is at most 6.66. `step` in [0, 2^31). Made where they are
/// wanted: numbers of a GPU differ from the CPU's by the rounding of its logarithm, sine and cosine.
at::Tensor normal_rows(const NoiseKey& key, std::span<const int64_t> indices, int64_t step,
                       at::IntArrayRef row_shape, at::Device device = at::kCPU);

/// Same, uniform on [0, 1) with 24 bits.
at::Tensor uniform_rows(const NoiseKey& key, std::span<const int64_t> indices, int64_t step,
                        at::IntArrayRef row_shape);

/// uniform_rows(...) >= rate, as bool: what of each row is kept.
at::Tensor keep_rows(const NoiseKey& key, std::span<const int64_t> indices, int64_t step,
                     at::IntArrayRef row_shape, double rate);

/// Integers uniform on [0, bound), int64 [indices.size()]; bound in [1, 2^31]. Multiply-shift on 32 bits: the
/// bias is below bound / 2^32.
at::Tensor integers(const NoiseKey& key, std::span<const int64_t> indices, int64_t step, int64_t bound);

/// A permutation of 0..count-1 (int64), a function of (key, index): Fisher-Yates on the stream.
at::Tensor permutation(const NoiseKey& key, int64_t index, int64_t count);

/// begin, begin + 1, ..., end - 1: the usual `indices`.
std::vector<int64_t> index_range(int64_t begin, int64_t end);

}  // namespace ddpm_eval::tensor
