#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::ddpm {

/// The sinusoids of the official code: sin(t f_i) for i = 0..half-1, then cos(t f_i), with half = dim / 2 and
/// f_i = 10000^(-i / (half - 1)). `t`: int64 [n]; returns float32 [n, dim], computed in float64. `dim` must
/// be even and at least 4.
at::Tensor time_embedding(const at::Tensor& t, int64_t dim);

}  // namespace ddpm_eval::ddpm
