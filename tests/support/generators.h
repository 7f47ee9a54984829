#pragma once

#include "base/tensor/noise.h"

#include <cstdint>

#include <rapidcheck.h>
#include <torch/types.h>

// What properties are checked on. A failure prints the seed that reproduces it; tests/support/main.cpp fixes
// the seed, so that every run checks the same cases.
namespace ddpm_eval::testing {

/// Within [low, high].
inline int64_t any_integer(int64_t low, int64_t high) { return *rc::gen::inRange(low, high + 1); }

/// On a grid of a million values within [low, high], both ends among them.
inline double any_real(double low, double high) {
  constexpr int64_t kSteps = 1'000'000;
  return low + (high - low) * static_cast<double>(any_integer(0, kSteps)) / static_cast<double>(kSteps);
}

/// Standard normal, float64.
inline at::Tensor any_normal(at::IntArrayRef shape) {
  const auto seed = static_cast<uint64_t>(any_integer(0, INT64_C(1) << 40));
  return tensor::normal_rows({seed, "property"}, tensor::index_range(0, shape[0]), 0, shape.slice(1))
      .to(torch::kFloat64);
}

/// Whether |got - want| is at most `tolerance` (1 + |want|) everywhere.
inline bool near(const at::Tensor& got, const at::Tensor& want, double tolerance) {
  return got.sizes() == want.sizes() &&
         (got - want).abs().le(tolerance * (1 + want.abs())).all().item<bool>();
}

}  // namespace ddpm_eval::testing
