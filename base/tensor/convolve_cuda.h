#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

// Float32 convolutions by a GPU's tensor cores, for networks that are evaluated and not trained.
namespace ddpm_eval::tensor::cuda {

/// x [images][height][width][in], weight [out][kernel_height][kernel_width][in], y [images][out_height]
/// [out_width][out], all float32 and dense: the channels-last layout. Padding is of zeros before and after.
struct ConvolutionProblem {
  int64_t images = 0;
  int64_t in = 0;
  int64_t height = 0;
  int64_t width = 0;
  int64_t out = 0;
  int64_t kernel_height = 0;
  int64_t kernel_width = 0;
  int64_t out_height = 0;
  int64_t out_width = 0;
  int64_t stride = 1;
  int64_t pad_rows = 0;
  int64_t pad_columns = 0;
};

/// Whether convolve_rectified() can do it: channels by 16, an even number of results, numbers of x and y that
/// 31 bits count, and a current device of compute capability 8.0 or later that the build has code for.
bool suits_tensor_cores(const ConvolutionProblem& problem);

/// y = max(x * weight + bias, 0); NaN stays NaN. x, weight, bias and y begin at multiples of 16 bytes. A
/// float32 is split in two TF32, and their three larger products are summed, eight at a time, in float32 (the
/// way of CUTLASS's "3xTF32"), whose rounding cuts off: its error is below that of cuDNN's float32 kernels by
/// norm, but for a part of some 6e-8 of the result towards zero. Infinities become NaN. Sums have an order
/// that the shape alone decides. Throws std::runtime_error where suits_tensor_cores() is false.
void convolve_rectified(const ConvolutionProblem& problem, const float* x, const float* weight,
                        const float* bias, float* y, cudaStream_t stream);

}  // namespace ddpm_eval::tensor::cuda
