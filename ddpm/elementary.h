#pragma once

#include "base/core/target_clones.h"

#include <bit>
#include <cstdint>

// Elementary functions that a compiler can vectorise, of the same bits with every instruction set. Private to
// the kernels.
namespace ddpm_eval::ddpm::detail {

/// e^x to 3e-7 of itself for x in [-87, 88], clamped outside, NaN of NaN: 2^k times a polynomial for e^r, |r|
/// <= ln(2)/2.
DDPM_EVAL_INLINE float exponential(float x) {
  constexpr float kShift = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer in the low bits
  x = x < -87.0F ? -87.0F : x;           // comparisons that a NaN gets through
  x = x > 88.0F ? 88.0F : x;
  const float shifted = x * 1.44269504F + kShift;
  const float k = shifted - kShift;
  // ln 2 in two parts, the first of few bits, so that k times it is exact.
  const float r = (x - k * 0.693359375F) + k * 2.12194440e-4F;
  // The Taylor series up to r^6 / 6!, whose remainder is below 2e-7 for |r| <= 0.347; in pairs of terms,
  // which do not wait for one another.
  const float r2 = r * r;
  const float low = (1.0F + r) + (0.5F + r * (1.0F / 6)) * r2;
  const float high = (1.0F / 24 + r * (1.0F / 120)) + r2 * (1.0F / 720);
  const float p = low + high * (r2 * r2);
  const auto exponent = (std::bit_cast<int32_t>(shifted) - std::bit_cast<int32_t>(kShift) + 127) << 23;
  return p * std::bit_cast<float>(exponent);
}

DDPM_EVAL_INLINE float sigmoid(float z) { return 1.0F / (1.0F + exponential(-z)); }

/// The inverse hyperbolic tangent to 2e-7 of itself for w in [0, 1/3].
DDPM_EVAL_INLINE float artanh(float w) {
  // The series w + w^3 / 3 + w^5 / 5 + ..., whose remainder after w^13 / 13 is below 2e-8 of w; in pairs of
  // terms, which do not wait for one another.
  const float w2 = w * w;
  const float w4 = w2 * w2;
  const float low = (1.0F / 3 + w2 * (1.0F / 5)) + (1.0F / 7 + w2 * (1.0F / 9)) * w4;
  const float high = 1.0F / 11 + w2 * (1.0F / 13);
  return w + w * (w2 * (low + high * (w4 * w4)));
}

}  // namespace ddpm_eval::ddpm::detail
