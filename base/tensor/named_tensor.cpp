#include "base/tensor/named_tensor.h"

#include "base/core/error.h"
#include "base/tensor/shape.h"

#include <unordered_map>

#include <ATen/ATen.h>

namespace ddpm_eval::tensor {

at::Tensor find(const NamedTensors& tensors, std::string_view name) {
  const auto found =
      std::find_if(tensors.begin(), tensors.end(), [&](const NamedTensor& t) { return t.name == name; });
  return found == tensors.end() ? at::Tensor() : found->tensor;
}

void copy_exactly(const NamedTensors& from, const NamedTensors& into, const std::string& origin) {
  std::unordered_map<std::string_view, const at::Tensor*> available;
  for (const auto& [name, tensor] : from) {
    available.emplace(name, &tensor);
  }
  // Everything is checked before anything is changed.
  for (const auto& [name, target] : into) {
    const auto found = available.find(name);
    if (found == available.end()) {
      throw core::DataError("{}: tensor '{}' is missing", origin, name);
    }
    const at::Tensor& source = *found->second;
    if (source.sizes() != target.sizes() || source.scalar_type() != target.scalar_type()) {
      throw core::DataError("{}: tensor '{}' is {} where {} is needed", origin, name, describe(source),
                            describe(target));
    }
    available.erase(found);
  }
  if (!available.empty()) {
    throw core::DataError("{}: tensor '{}' is not part of this network", origin, available.begin()->first);
  }
  const at::NoGradGuard no_grad;
  for (const auto& [name, target] : into) {
    at::Tensor(target).copy_(find(from, name));
  }
}

}  // namespace ddpm_eval::tensor
