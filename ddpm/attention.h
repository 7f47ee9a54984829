#pragma once

#include <ATen/core/Tensor.h>

namespace ddpm_eval::ddpm {

/// softmax(q k^T / sqrt(c)) v of each image, from q, k and v side by side: [n, positions, 3 c] to
/// [n, positions, c]. Float32 on the CPU takes its matrix products image by image, a thread each, in builds
/// with oneDNN; anything else goes through LibTorch's operators, in the dtype of `qkv` but for softmax, which
/// is at least float32. Differentiable once.
at::Tensor attend(const at::Tensor& qkv);

}  // namespace ddpm_eval::ddpm
