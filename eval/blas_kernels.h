#pragma once

#include <string_view>

namespace ddpm_eval::eval {

/// What a processor can do, as far as OpenBLAS has kernels for it.
struct VectorUnits {
  bool avx2_and_fma = false;
  bool avx512 = false;  ///< F, DQ, BW and VL
};

/// The value for OPENBLAS_CORETYPE where OpenBLAS takes the kernels `core` by itself, or null where they are
/// right. Of processors younger than itself it may take those of 2004, "Prescott", which have no AVX.
inline const char* better_blas_kernels(std::string_view core, VectorUnits units) {
  if (core != "Prescott" || !units.avx2_and_fma) {
    return nullptr;
  }
  return units.avx512 ? "SkylakeX" : "Haswell";
}

}  // namespace ddpm_eval::eval
