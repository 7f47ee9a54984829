#include "ddpm/dropout_kernel.h"

namespace ddpm_eval::ddpm::detail {
namespace {

template <class Number>
DDPM_EVAL_INLINE void scale_kept_loop(int64_t count, const Number* __restrict x, const bool* __restrict kept,
                                      float factor, Number* __restrict y) {
  for (int64_t i = 0; i < count; ++i) {
    const float scaled = load(x[i]) * factor;
    store(kept[i] ? scaled : 0.0F, y[i]);
  }
}

// What is compiled several times must not be a template.
DDPM_EVAL_CLONES void scale_kept_of(int64_t count, const float* x, const bool* kept, float factor, float* y) {
  scale_kept_loop(count, x, kept, factor, y);
}

DDPM_EVAL_CLONES void scale_kept_of(int64_t count, const Bf16* x, const bool* kept, float factor, Bf16* y) {
  scale_kept_loop(count, x, kept, factor, y);
}

}  // namespace

template <class Number>
void scale_kept(int64_t count, const Number* x, const bool* kept, float factor, Number* y) {
  scale_kept_of(count, x, kept, factor, y);
}

template void scale_kept(int64_t, const float*, const bool*, float, float*);
template void scale_kept(int64_t, const Bf16*, const bool*, float, Bf16*);

}  // namespace ddpm_eval::ddpm::detail
