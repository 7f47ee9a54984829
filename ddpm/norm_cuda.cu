#include "ddpm/norm_cuda.cuh"
#include "ddpm/norm_cuda.h"
#include "ddpm/norm_fused_cuda.cuh"

#include <algorithm>
#include <bit>
#include <numeric>
#include <stdexcept>
#include <string>

namespace ddpm_eval::ddpm::cuda {
namespace {

using norm::FusedPlan;
using norm::kMaxFusedThreads, norm::kMaxFusedVectors;

/// Blocks that take up to `wanted_vectors` of a row where registers allow; more where an image is small.
FusedPlan fused_plan_for(const NormProblem& p, int64_t vector, int64_t wanted_vectors, int64_t max_repeats) {
  constexpr int64_t kSmall = 256;
  const int64_t group_size = p.channels / p.groups;
  // Half a vector must not cross a group: those are what the forward pass adds up.
  if (p.channels % vector != 0 || group_size % (vector / 2) != 0 || p.positions > (int64_t{1} << 20)) {
    return {};
  }
  const int64_t unit = std::lcm(group_size, vector) / vector;
  const int64_t units = p.channels / vector / unit;
  FusedPlan plan{};
  for (int64_t m = 1; m <= units && unit * m <= kMaxFusedVectors; ++m) {
    const auto lanes = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(unit * m)));
    const int64_t work = p.positions * lanes;
    const bool wide = unit * m > wanted_vectors && m > 1;
    // A vector of each row alone is no way to read memory.
    const bool thin = unit * m == 1 && units > 1 && work > kSmall;
    if (units % m != 0 || (wide && work > kSmall) || thin || work > kMaxFusedThreads * max_repeats) {
      continue;
    }
    const auto share = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>((work + 3) / 4)));
    const int64_t threads = std::clamp<int64_t>(share, 128, kMaxFusedThreads);
    plan = {.threads = static_cast<int>(threads),
            // A kernel for one repeat would save next to nothing.
            .repeats = static_cast<int>(
                std::bit_ceil(static_cast<uint64_t>(std::max<int64_t>(2, (work + threads - 1) / threads)))),
            .positions = static_cast<int>(p.positions),
            .channels = static_cast<int>(p.channels),
            .group_size = static_cast<int>(group_size),
            .groups = static_cast<int>(p.groups),
            .slabs = static_cast<int>(units / m),
            .vectors = static_cast<int>(unit * m),
            .log_lanes = std::countr_zero(static_cast<uint64_t>(lanes))};
  }
  return plan;
}

/// Fewer repeats leave room for a second block beside the first, which reads while that one computes.
FusedPlan forward_plan(const NormProblem& p, int64_t vector) {
  const FusedPlan plan = fused_plan_for(p, vector, 4, 8);
  return plan.repeats != 0 ? plan : fused_plan_for(p, vector, 4, 16);
}

/// Here longer segments of a row are worth more than a second block.
FusedPlan backward_plan(const NormProblem& p, int64_t vector) { return fused_plan_for(p, vector, 8, 8); }

constexpr int kSumColumns = 32;
constexpr int kSumRows = 16;

/// dbias and dweight from image_sums [images][2][channels].
__global__ void __launch_bounds__(kSumColumns* kSumRows)
    sum_images(int64_t images, int64_t channels, const float* __restrict__ image_sums,
               float* __restrict__ dweight, float* __restrict__ dbias) {
  __shared__ float part[kSumRows][kSumColumns];
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kSumColumns + threadIdx.x;
  float sum = 0;
  if (column < 2 * channels) {
#pragma unroll 8
    for (int64_t image = threadIdx.y; image < images; image += kSumRows) {
      sum += image_sums[image * 2 * channels + column];
    }
  }
  part[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y == 0 && column < 2 * channels) {
    float total = 0;
#pragma unroll
    for (int row = 0; row < kSumRows; ++row) {
      total += part[row][threadIdx.x];
    }
    (column < channels ? dbias + column : dweight + (column - channels))[0] = total;
  }
}

int64_t vector_of(const NormProblem& p) { return p.bfloat16 ? norm::Bf16::kVector : norm::Float::kVector; }

bool in_vectors(const NormProblem& p, const void* x, const void* y, const void* z = nullptr) {
  const auto addresses =
      reinterpret_cast<uintptr_t>(x) | reinterpret_cast<uintptr_t>(y) | reinterpret_cast<uintptr_t>(z);
  return p.channels % vector_of(p) == 0 && addresses % 16 == 0;
}

/// Of scratch, at its start.
int64_t image_sum_floats(const NormProblem& p) { return 2 * p.images * p.channels; }

void check(const NormProblem& p) {
  constexpr int64_t kMaxBlocks = (int64_t{1} << 31) - 1;
  const bool valid = p.images >= 1 && p.positions >= 1 && p.channels >= 1 && p.groups >= 1 &&
                     p.channels % p.groups == 0 && p.channels <= (int64_t{1} << 20) &&
                     p.images * p.channels <= kMaxBlocks && p.positions * p.channels <= kMaxBlocks;
  if (!valid) {
    throw std::runtime_error("norm: [" + std::to_string(p.images) + "][" + std::to_string(p.positions) +
                             "][" + std::to_string(p.channels) + "] in " + std::to_string(p.groups) +
                             " groups");
  }
}

}  // namespace

int64_t norm_scratch_floats(const NormProblem& problem) {
  check(problem);
  return image_sum_floats(problem) + norm::passes_scratch_floats(problem);
}

void norm_forward(const NormProblem& problem, const void* x, const float* weight, const float* bias,
                  const float* shift, void* y, float* mean, float* rstd, float* scratch,
                  cudaStream_t stream) {
  check(problem);
  const norm::Inputs from{x, weight, bias, shift};
  const bool vectors = in_vectors(problem, x, y);
  const FusedPlan plan = vectors ? forward_plan(problem, vector_of(problem)) : FusedPlan{};
  if (plan.repeats != 0) {
    norm::fused_forward(problem, plan, from, y, mean, rstd, stream);
  } else {
    norm::forward_in_passes(problem, vectors, from, y, mean, rstd, scratch, stream);
  }
}

void norm_backward(const NormProblem& problem, const void* x, const float* weight, const float* bias,
                   const float* shift, const float* mean, const float* rstd, const void* dy, void* dx,
                   float* dweight, float* dbias, float* dshift, float* scratch, cudaStream_t stream) {
  check(problem);
  const norm::Inputs from{x, weight, bias, shift};
  const norm::Gradients into{dy, dx, scratch, dshift};
  const bool vectors = in_vectors(problem, x, dy, dx);
  const FusedPlan plan = vectors ? backward_plan(problem, vector_of(problem)) : FusedPlan{};
  if (plan.repeats != 0) {
    norm::fused_backward(problem, plan, from, mean, rstd, into, stream);
  } else {
    norm::backward_in_passes(problem, vectors, from, mean, rstd, into, scratch + image_sum_floats(problem),
                             stream);
  }
  const auto blocks = static_cast<unsigned>((2 * problem.channels + kSumColumns - 1) / kSumColumns);
  sum_images<<<blocks, dim3(kSumColumns, kSumRows), 0, stream>>>(problem.images, problem.channels,
                                                                 into.image_sums, dweight, dbias);
  norm::check_launch("sum_images");
}

}  // namespace ddpm_eval::ddpm::cuda
