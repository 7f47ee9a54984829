#pragma once

#include <span>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::ddpm {

/// table[t] for every t (int64 [n], within the table), in the dtype and on the device of `like` [n, ...],
/// shaped [n, 1, ...] to be multiplied with it.
at::Tensor values_at(std::span<const double> table, const at::Tensor& t, const at::Tensor& like);

}  // namespace ddpm_eval::ddpm
