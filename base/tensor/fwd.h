#pragma once

// For headers that only pass tensors by reference. The class is at::Tensor; torch::Tensor is another name for
// it.
namespace at {
class Tensor;
}
