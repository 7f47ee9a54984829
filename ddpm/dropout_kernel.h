#pragma once

#include "ddpm/bfloat16.h"

#include <cstdint>

namespace ddpm_eval::ddpm::detail {

/// y = x factor where kept, else 0, over plain arrays. Number is float or Bf16, which is rounded once.
template <class Number>
void scale_kept(int64_t count, const Number* x, const bool* kept, float factor, Number* y);

}  // namespace ddpm_eval::ddpm::detail
