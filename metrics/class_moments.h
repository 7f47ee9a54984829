#pragma once

#include "metrics/moments.h"

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::metrics {

/// How many of `labels`, int64 [n] in [0, classes), are each class: [classes]. Throws LogicError for a label
/// beyond them.
std::vector<int64_t> class_counts(const at::Tensor& labels, int64_t classes);

/// The moments of the rows of `features`, float32 [n, d] on the CPU, whose label is `label`. Those of all
/// classes merge() to those of all rows, up to rounding. Throws DataError for fewer than two such rows, NaN
/// and infinity.
Moments class_moments(const at::Tensor& features, const at::Tensor& labels, int64_t label);

}  // namespace ddpm_eval::metrics
