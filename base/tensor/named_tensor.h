#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::tensor {

/// A tensor and its name, as state files keep them. Order is the order of registration.
struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

using NamedTensors = std::vector<NamedTensor>;

/// The tensor called `name`, or an undefined one.
at::Tensor find(const NamedTensors& tensors, std::string_view name);

/// Copies `from` into the tensors of `into`, in place, matching by name. Shapes and dtypes must agree and
/// neither side may have a name that the other lacks: throws DataError naming `origin` and the first tensor
/// at fault.
void copy_exactly(const NamedTensors& from, const NamedTensors& into, const std::string& origin);

}  // namespace ddpm_eval::tensor
