#include "ddpm/network.h"

#include "base/core/error.h"

namespace ddpm_eval::ddpm {

std::unique_ptr<const DiffusionNetwork> DiffusionNetwork::prepare(tensor::Precision precision) const {
  if (precision != tensor::Precision::kFloat32) {
    throw core::UsageError(core::Key{"precision"}, "only the U-Net has 'bf16'; use 'float32'");
  }
  return nullptr;
}

int64_t count_elements(const tensor::NamedTensors& tensors) {
  int64_t count = 0;
  for (const auto& named : tensors) {
    count += named.tensor.numel();
  }
  return count;
}

}  // namespace ddpm_eval::ddpm
