#include "base/training/gpu_update.h"

#include "base/core/error.h"
#include "base/tensor/send.h"
#include "base/training/blocks.h"

#include <algorithm>
#include <cmath>

#include <torch/types.h>

#ifdef DDPM_EVAL_WITH_CUDA
#include "base/training/update_cuda.h"

#include <ATen/cuda/CUDAContext.h>
#endif

namespace ddpm_eval::training::gpu {

#ifdef DDPM_EVAL_WITH_CUDA

namespace {

/// `count` numbers from the given ones on, in pieces: piece(begin, count of it).
template <class Arrays, class Piece>
void cut(std::vector<Arrays>& arrays, int64_t count, const Piece& piece) {
  for (int64_t begin = 0; begin < count; begin += detail::kBlockSize) {
    arrays.push_back(piece(begin, std::min(detail::kBlockSize, count - begin)));
  }
}

/// The list in the device's memory.
template <class Arrays>
at::Tensor on_device(std::vector<Arrays>& arrays, at::Device device) {
  const auto bytes = static_cast<int64_t>(arrays.size() * sizeof(Arrays));
  return tensor::send(torch::from_blob(arrays.data(), {bytes}, torch::kByte), device);
}

template <class Arrays>
const Arrays* list(const at::Tensor& bytes) {
  return reinterpret_cast<const Arrays*>(bytes.data_ptr<uint8_t>());
}

}  // namespace

bool suits(const at::Tensor& tensor) {
  return tensor.is_cuda() && tensor.scalar_type() == torch::kFloat32 && tensor.is_non_overlapping_and_dense();
}

void adam(const std::vector<AdamTensors>& tensors, const detail::AdamCoefficients<float>& coefficients) {
  std::vector<cuda::AdamArrays> arrays;
  for (const auto& [parameter, grad, exp_avg, exp_avg_sq] : tensors) {
    auto *p = parameter.data_ptr<float>(), *m = exp_avg.data_ptr<float>(), *v = exp_avg_sq.data_ptr<float>();
    const auto* g = grad.data_ptr<float>();
    cut(arrays, parameter.numel(), [&](int64_t begin, int64_t count) {
      return cuda::AdamArrays{p + begin, g + begin, m + begin, v + begin, count};
    });
  }
  if (!arrays.empty()) {
    const at::Tensor there = on_device(arrays, tensors.front().parameter.device());
    cuda::adam(list<cuda::AdamArrays>(there), static_cast<int64_t>(arrays.size()), coefficients,
               at::cuda::getCurrentCUDAStream());
  }
}

void average(const std::vector<AverageTensors>& tensors, float weight) {
  std::vector<cuda::AverageArrays> arrays;
  for (const auto& [average, value] : tensors) {
    auto* to = average.data_ptr<float>();
    const auto* from = value.data_ptr<float>();
    cut(arrays, average.numel(), [&](int64_t begin, int64_t count) {
      return cuda::AverageArrays{to + begin, from + begin, count};
    });
  }
  if (!arrays.empty()) {
    const at::Tensor there = on_device(arrays, tensors.front().average.device());
    cuda::average(list<cuda::AverageArrays>(there), static_cast<int64_t>(arrays.size()), weight,
                  at::cuda::getCurrentCUDAStream());
  }
}

double norm(const std::vector<at::Tensor>& tensors) {
  std::vector<cuda::NormArrays> arrays;
  for (const at::Tensor& tensor : tensors) {
    const auto* values = tensor.data_ptr<float>();
    cut(arrays, tensor.numel(), [&](int64_t begin, int64_t count) {
      return cuda::NormArrays{values + begin, count};
    });
  }
  if (arrays.empty()) {
    return 0;
  }
  const auto device = tensors.front().device();
  const at::Tensor there = on_device(arrays, device);
  const auto number = static_cast<int64_t>(arrays.size());
  const at::Tensor sums = torch::empty({number}, torch::dtype(torch::kFloat64).device(device));
  cuda::sums_of_squares(list<cuda::NormArrays>(there), number, sums.data_ptr<double>(),
                        at::cuda::getCurrentCUDAStream());
  return std::sqrt(sums.sum().item<double>());
}

#else

bool suits(const at::Tensor& /*tensor*/) { return false; }

void adam(const std::vector<AdamTensors>& tensors, const detail::AdamCoefficients<float>&) {
  DDPM_CHECK(tensors.empty(), "a kernel of a build without CUDA");
}

void average(const std::vector<AverageTensors>& tensors, float) {
  DDPM_CHECK(tensors.empty(), "a kernel of a build without CUDA");
}

double norm(const std::vector<at::Tensor>& tensors) {
  DDPM_CHECK(tensors.empty(), "a kernel of a build without CUDA");
  return 0;
}

#endif

}  // namespace ddpm_eval::training::gpu
