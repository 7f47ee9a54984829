#pragma once

#include "ddpm/norm_cuda.cuh"

// One pass: a block keeps whole groups of one image in registers.
namespace ddpm_eval::ddpm::cuda::norm {

constexpr int kMaxFusedThreads = 512;
/// Vectors of a row that a block takes, at most.
constexpr int kMaxFusedVectors = 16;

/// Threads in rows of 2^log_lanes, of which the first `vectors` have work; thread row r has positions r,
/// r + rows, ..., `repeats` at most.
struct FusedPlan {
  int threads;
  int repeats;  ///< 2, 4, 8 or 16, the last forward only; 0: does not fit
  int positions;
  int channels;
  int group_size;
  int groups;
  int slabs;  ///< of channels, a block each
  int vectors;
  int log_lanes;
};

void fused_forward(const NormProblem& problem, const FusedPlan& plan, const Inputs& from, void* y,
                   float* mean, float* rstd, cudaStream_t stream);
void fused_backward(const NormProblem& problem, const FusedPlan& plan, const Inputs& from, const float* mean,
                    const float* rstd, const Gradients& into, cudaStream_t stream);

/// Where a thread is.
template <class Number>
struct Place {
  int lane;  ///< within its row of threads
  int row;
  int rows;  ///< of threads
  int image;
  int slab_channel;  ///< first channel of the block
  int channel;       ///< first channel of the thread, relative to the block's
  int count;         ///< positions of the thread
  int64_t first;     ///< of x, in numbers
  int64_t stride;    ///< from one position of the thread to the next

  __device__ __forceinline__ explicit Place(const FusedPlan& s) {
    lane = threadIdx.x & ((1 << s.log_lanes) - 1);
    row = threadIdx.x >> s.log_lanes;
    rows = blockDim.x >> s.log_lanes;
    image = blockIdx.x / s.slabs;
    slab_channel = (blockIdx.x - image * s.slabs) * s.vectors * Number::kVector;
    const bool active = lane < s.vectors;
    // Threads without work look at the first channels instead.
    channel = active ? lane * Number::kVector : 0;
    count = active && row < s.positions ? (s.positions - row + rows - 1) / rows : 0;
    first = (static_cast<int64_t>(image) * s.positions + row) * s.channels + slab_channel + channel;
    stride = static_cast<int64_t>(rows) * s.channels;
  }
};

/// Zeros beyond `count`.
template <class Number, int Repeats>
__device__ __forceinline__ void load_all(const Place<Number>& at, const typename Number::Stored* x,
                                         uint32_t (&data)[Repeats][4]) {
#pragma unroll
  for (int k = 0; k < Repeats; ++k) {
    uint4 vector{0, 0, 0, 0};
    if (k < at.count) {
      vector = *reinterpret_cast<const uint4*>(x + at.first + k * at.stride);
    }
    data[k][0] = vector.x;
    data[k][1] = vector.y;
    data[k][2] = vector.z;
    data[k][3] = vector.w;
  }
}

template <class Number, int Repeats>
__device__ __forceinline__ void store_all(const Place<Number>& at, const uint32_t (&data)[Repeats][4],
                                          typename Number::Stored* y) {
#pragma unroll
  for (int k = 0; k < Repeats; ++k) {
    if (k < at.count) {
      *reinterpret_cast<uint4*>(y + at.first + k * at.stride) =
          uint4{data[k][0], data[k][1], data[k][2], data[k][3]};
    }
  }
}

/// Keeps the compiler from holding on to numbers unpacked before, which would take twice the registers.
template <int Repeats>
__device__ __forceinline__ void forget_unpacked(uint32_t (&data)[Repeats][4]) {
#pragma unroll
  for (int k = 0; k < Repeats; ++k) {
#pragma unroll
    for (uint32_t& word : data[k]) {
      asm volatile("" : "+r"(word));
    }
  }
}

/// The sum over the rows of threads in a warp, for every lane of a row.
__device__ __forceinline__ float sum_rows(float value, int log_lanes) {
  for (int offset = kWarp / 2; offset >= 1 << log_lanes; offset >>= 1) {
    value += __shfl_xor_sync(0xFFFFFFFFU, value, offset);
  }
  return value;
}

}  // namespace ddpm_eval::ddpm::cuda::norm
