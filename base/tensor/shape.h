#pragma once

#include <string>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::tensor {

/// "float32 [64, 3, 32, 32]".
std::string describe(const at::Tensor& tensor);
std::string describe(at::IntArrayRef sizes);

/// Throws LogicError unless `tensor` has this dtype and shape; -1 stands for any size. For preconditions, not
/// input.
void expect(const at::Tensor& tensor, at::ScalarType dtype, at::IntArrayRef sizes, const char* name);

}  // namespace ddpm_eval::tensor
