#pragma once

#include <ATen/core/Tensor.h>

namespace ddpm_eval::tensor {

/// `host` on `device`, with the same shape and dtype. To a GPU it is copied without waiting, from memory of
/// LibTorch's that the GPU can read by itself: the caller may change or drop `host` at once (unless that is
/// such memory already), and what is given to the GPU afterwards sees the copy. On the CPU, and where `host`
/// is on `device` already, `host` itself.
at::Tensor send(const at::Tensor& host, at::Device device);

}  // namespace ddpm_eval::tensor
