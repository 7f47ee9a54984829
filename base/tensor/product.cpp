#include "base/tensor/product.h"

#include "base/core/error.h"
#include "base/tensor/shape.h"

#include <torch/types.h>

#ifdef DDPM_EVAL_WITH_ONEDNN
#include <dnnl.h>
#endif

namespace ddpm_eval::tensor {
namespace {

void check_matrix(const at::Tensor& matrix) {
  DDPM_CHECK(matrix.dim() == 2 && matrix.scalar_type() == torch::kFloat32 && matrix.device().is_cpu() &&
                 matrix.is_contiguous(),
             "an operand of a product is {}", describe(matrix));
}

}  // namespace

#ifdef DDPM_EVAL_WITH_ONEDNN

bool has_multiply() { return true; }

void multiply(int64_t rows, int64_t inner, int64_t columns, float scale, const MatrixView& a,
              const MatrixView& b, float* to, int64_t to_stride, bool adds) {
  const auto letter = [](const MatrixView& view) { return view.as == Operand::kTransposed ? 'T' : 'N'; };
  const auto status = dnnl_sgemm(letter(a), letter(b), rows, columns, inner, scale, a.data, a.stride, b.data,
                                 b.stride, adds ? 1.0F : 0.0F, to, to_stride);
  DDPM_CHECK(status == dnnl_success, "oneDNN's product failed with status {}", static_cast<int>(status));
}

#else

bool has_multiply() { return false; }

void multiply(int64_t, int64_t, int64_t, float, const MatrixView&, const MatrixView&, float*, int64_t, bool) {
  DDPM_CHECK(false, "this build has no oneDNN");
}

#endif

at::Tensor product(const at::Tensor& a, Operand as_a, const at::Tensor& b, Operand as_b) {
  check_matrix(a);
  check_matrix(b);
  const bool turn_a = as_a == Operand::kTransposed, turn_b = as_b == Operand::kTransposed;
  const int64_t rows = a.size(turn_a ? 1 : 0), inner = a.size(turn_a ? 0 : 1);
  const int64_t columns = b.size(turn_b ? 0 : 1);
  DDPM_CHECK(b.size(turn_b ? 1 : 0) == inner, "a product of {} and {}", describe(a), describe(b));
  if (has_multiply() && rows > 0 && columns > 0 && inner > 0) {
    at::Tensor result = torch::empty({rows, columns}, torch::kFloat32);
    multiply(rows, inner, columns, 1, {a.data_ptr<float>(), a.size(1), as_a},
             {b.data_ptr<float>(), b.size(1), as_b}, result.data_ptr<float>(), columns);
    return result;
  }
  return torch::mm(turn_a ? a.t() : a, turn_b ? b.t() : b);
}

}  // namespace ddpm_eval::tensor
