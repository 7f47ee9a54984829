#include "base/tensor/send.h"

#include <torch/types.h>

namespace ddpm_eval::tensor {

at::Tensor send(const at::Tensor& host, at::Device device) {
  if (!device.is_cuda() || !host.device().is_cpu()) {
    return host.to(device);
  }
  // Memory that may be swapped out is read by the processor, which waits for all that the GPU has to do.
  const at::Tensor dense = host.is_non_overlapping_and_dense() ? host : host.contiguous();
  return dense.pin_memory().to(device, /*non_blocking=*/true);
}

}  // namespace ddpm_eval::tensor
