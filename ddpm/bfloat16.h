#pragma once

#include "base/core/target_clones.h"

#include <bit>
#include <cstdint>

// What kernels read and write: float32, or bfloat16 that is float32 in between. Private to the kernels.
namespace ddpm_eval::ddpm::detail {

/// The upper half of a float32.
struct Bf16 {
  uint16_t bits;
};

DDPM_EVAL_INLINE float load(float value) { return value; }
DDPM_EVAL_INLINE float load(Bf16 value) { return std::bit_cast<float>(uint32_t{value.bits} << 16); }

DDPM_EVAL_INLINE void store(float value, float& to) { to = value; }
/// Rounds to nearest, ties to even; what is not a number stays none.
DDPM_EVAL_INLINE void store(float value, Bf16& to) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
  const uint32_t quiet = (bits >> 16) | 0x40U;
  to.bits = static_cast<uint16_t>((bits & 0x7FFFFFFFU) > 0x7F800000U ? quiet : rounded);
}

}  // namespace ddpm_eval::ddpm::detail
