#include "base/tensor/shape.h"

#include "base/core/error.h"

#include <fmt/ranges.h>

namespace ddpm_eval::tensor {
namespace {

std::string dtype_name(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
      return "float32";
    case at::kDouble:
      return "float64";
    case at::kByte:
      return "uint8";
    case at::kLong:
      return "int64";
    case at::kInt:
      return "int32";
    case at::kBFloat16:
      return "bfloat16";
    case at::kHalf:
      return "float16";
    case at::kBool:
      return "bool";
    default:
      return c10::toString(dtype);
  }
}

}  // namespace

std::string describe(at::IntArrayRef sizes) {
  return fmt::format("[{}]", fmt::join(sizes.begin(), sizes.end(), ", "));
}

std::string describe(const at::Tensor& tensor) {
  return tensor.defined() ? fmt::format("{} {}", dtype_name(tensor.scalar_type()), describe(tensor.sizes()))
                          : "nothing";
}

void expect(const at::Tensor& tensor, at::ScalarType dtype, at::IntArrayRef sizes, const char* name) {
  bool fits =
      tensor.defined() && tensor.scalar_type() == dtype && tensor.dim() == static_cast<int64_t>(sizes.size());
  for (size_t i = 0; fits && i < sizes.size(); ++i) {
    fits = sizes[i] < 0 || tensor.size(static_cast<int64_t>(i)) == sizes[i];
  }
  DDPM_CHECK(fits, "{} is {}, expected {} {}", name, describe(tensor), dtype_name(dtype), describe(sizes));
}

}  // namespace ddpm_eval::tensor
