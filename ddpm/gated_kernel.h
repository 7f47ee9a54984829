#pragma once

#include <cstdint>

// softplus((y + bias) g[t]) over rows, the part of a gated layer that is no matrix product, without LibTorch.
// Equal bits with every instruction set.
namespace ddpm_eval::ddpm::detail {

/// `rows` x `width` numbers; the bias of each column, [width]; and the gates of each row, which are row t[i]
/// of `gates` [steps, width].
struct GatedRows {
  int64_t rows;
  int64_t width;
  const float* bias;
  const float* gates;
  const int64_t* t;
};

/// h = softplus(z) and its derivative, `slope` = sigmoid(z), of z = (y + bias) g[t] in rows [begin, end).
void gated_softplus(const GatedRows& shape, int64_t begin, int64_t end, const float* y, float* h,
                    float* slope);

/// From `dh`, in columns [begin, end): `dy`; the sums of dy over the rows, `dbias` [width]; and what is added
/// to `dgates` [steps, width]. Rows are added up in their order. `scratch` holds width numbers.
void gated_softplus_gradient(const GatedRows& shape, int64_t begin, int64_t end, const float* y,
                             const float* slope, const float* dh, float* dy, double* scratch, float* dbias,
                             float* dgates);

}  // namespace ddpm_eval::ddpm::detail
