#include "ddpm/norm_fused_cuda.cuh"

namespace ddpm_eval::ddpm::cuda::norm {
namespace {

template <class Number, int Repeats, bool Swish>
__global__ void __launch_bounds__(kMaxFusedThreads, Repeats <= 8 ? 2 : 1)
    forward_kernel(FusedPlan s, float eps, const typename Number::Stored* x, const float* __restrict__ weight,
                   const float* __restrict__ bias, const float* __restrict__ shift,
                   typename Number::Stored* y, float* __restrict__ mean, float* __restrict__ rstd) {
  constexpr int kHalf = Number::kVector / 2;
  constexpr int kMaxHalves = 2 * kMaxFusedVectors;
  constexpr int kMaxWarps = kMaxFusedThreads / kWarp;
  // Per warp and half vector; then what they come to per group, of which none is smaller than that.
  __shared__ float part[2][kMaxWarps][kMaxHalves];
  __shared__ float group_mean[kMaxHalves];
  __shared__ float group_rstd[kMaxHalves];
  // What is needed per channel: read from here, the large loops need few registers.
  constexpr int kMaxChannels = kMaxFusedVectors * Number::kVector;
  __shared__ alignas(16) float own_shift[kMaxChannels], own_weight[kMaxChannels], own_bias[kMaxChannels];

  const Place<Number> at(s);
  const int warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
  // Writes the sums of its warp.
  const bool leads = threadIdx.x % kWarp < s.vectors;
  const int halves = 2 * s.vectors, halves_a_group = s.group_size / kHalf;
  const int slab_groups = halves / halves_a_group;
  const int group_index[2] = {at.channel / s.group_size, (at.channel + kHalf) / s.group_size};
  const float count = static_cast<float>(s.group_size) * static_cast<float>(s.positions);

  uint32_t data[Repeats][4];
  load_all<Number, Repeats>(at, x, data);
  for (int c = threadIdx.x; c < s.vectors * Number::kVector; c += blockDim.x) {
    const int i = at.slab_channel + c;
    own_shift[c] = shift == nullptr ? 0.0F : shift[static_cast<int64_t>(at.image) * s.channels + i];
    own_weight[c] = weight[i];
    own_bias[c] = bias[i];
  }
  __syncthreads();

  float sum[2] = {0, 0};
#pragma unroll
  for (int c = 0; c < Number::kVector; ++c) {
    const float by = own_shift[at.channel + c];
#pragma unroll
    for (int k = 0; k < Repeats; ++k) {
      const float value = Number::get(data[k][c / Number::kPerWord], c % Number::kPerWord) + by;
      sum[c / kHalf] += k < at.count ? value : 0.0F;
    }
  }
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    sum[h] = sum_rows(sum[h], s.log_lanes);
    if (leads) {
      part[0][warp][2 * at.lane + h] = sum[h];
    }
  }
  __syncthreads();
  for (int g = threadIdx.x; g < slab_groups; g += blockDim.x) {
    float total = 0;
    for (int w = 0; w < warps; ++w) {
      for (int h = 0; h < halves_a_group; ++h) {
        total += part[0][w][g * halves_a_group + h];
      }
    }
    group_mean[g] = total / count;
  }
  __syncthreads();

  forget_unpacked(data);
  // About the mean, whose own error the sum of the differences tells.
  float differences[2] = {0, 0}, squares[2] = {0, 0};
#pragma unroll
  for (int c = 0; c < Number::kVector; ++c) {
    const float center = group_mean[group_index[c / kHalf]] - own_shift[at.channel + c];
#pragma unroll
    for (int k = 0; k < Repeats; ++k) {
      const float value = Number::get(data[k][c / Number::kPerWord], c % Number::kPerWord) - center;
      const float difference = k < at.count ? value : 0.0F;
      differences[c / kHalf] += difference;
      squares[c / kHalf] += difference * difference;
    }
  }
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    differences[h] = sum_rows(differences[h], s.log_lanes);
    squares[h] = sum_rows(squares[h], s.log_lanes);
    if (leads) {
      part[0][warp][2 * at.lane + h] = differences[h];
      part[1][warp][2 * at.lane + h] = squares[h];
    }
  }
  __syncthreads();
  for (int g = threadIdx.x; g < slab_groups; g += blockDim.x) {
    float total = 0, total_of_squares = 0;
    for (int w = 0; w < warps; ++w) {
      for (int h = 0; h < halves_a_group; ++h) {
        total += part[0][w][g * halves_a_group + h];
        total_of_squares += part[1][w][g * halves_a_group + h];
      }
    }
    const float error = total / count;
    const float m = group_mean[g] + error;
    const float variance = fmaxf(0.0F, total_of_squares / count - error * error);
    const float r = 1.0F / sqrtf(variance + eps);
    group_mean[g] = m;
    group_rstd[g] = r;
    const int64_t to = static_cast<int64_t>(at.image) * s.groups + at.slab_channel / s.group_size + g;
    mean[to] = m;
    rstd[to] = r;
  }
  __syncthreads();

  forget_unpacked(data);
#pragma unroll
  for (int w = 0; w < 4; ++w) {
    float center[Number::kPerWord], scale[Number::kPerWord], offset[Number::kPerWord];
#pragma unroll
    for (int j = 0; j < Number::kPerWord; ++j) {
      const int c = w * Number::kPerWord + j;
      const int g = group_index[c / kHalf];
      center[j] = group_mean[g] - own_shift[at.channel + c];
      scale[j] = own_weight[at.channel + c] * group_rstd[g];
      offset[j] = own_bias[at.channel + c];
    }
#pragma unroll
    for (int k = 0; k < Repeats; ++k) {
      float numbers[Number::kPerWord];
#pragma unroll
      for (int j = 0; j < Number::kPerWord; ++j) {
        numbers[j] = activate<Swish>((Number::get(data[k][w], j) - center[j]) * scale[j] + offset[j]);
      }
      data[k][w] = Number::word(numbers);
    }
  }
  store_all<Number, Repeats>(at, data, y);
}

/// `image_sums` [images][2][channels] gets the sums over positions that dbias and dweight are made of.
template <class Number, int Repeats, bool Swish>
__global__ void __launch_bounds__(kMaxFusedThreads, Repeats <= 4 ? 2 : 1)
    backward_kernel(FusedPlan s, const typename Number::Stored* x, const float* __restrict__ weight,
                    const float* __restrict__ bias, const float* __restrict__ shift,
                    const float* __restrict__ mean, const float* __restrict__ rstd,
                    const typename Number::Stored* dy, typename Number::Stored* dx,
                    float* __restrict__ image_sums, float* __restrict__ dshift) {
  const Place<Number> at(s);
  const int warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
  const bool leads = threadIdx.x % kWarp < s.vectors;
  const int slab_channels = s.vectors * Number::kVector;
  const int slab_groups = slab_channels / s.group_size;
  const float count = static_cast<float>(s.group_size) * static_cast<float>(s.positions);

  // What is needed per channel: read from here, the large loops need few registers.
  extern __shared__ __align__(16) float memory[];
  float* centers = memory;  // [slab_channels] each
  float* scales = centers + slab_channels;
  float* offsets = scales + slab_channels;
  float* levels = offsets + slab_channels;
  float* slopes = levels + slab_channels;
  float* sums = slopes + slab_channels;    // [3][slab_channels]
  float* part = sums + 3 * slab_channels;  // [warps][3][slab_channels]

  uint32_t data[Repeats][4];
  uint32_t gradient[Repeats][4];
  load_all<Number, Repeats>(at, x, data);
  load_all<Number, Repeats>(at, dy, gradient);
  const int64_t image_channel = static_cast<int64_t>(at.image) * s.channels;
  const int64_t image_group = static_cast<int64_t>(at.image) * s.groups + at.slab_channel / s.group_size;
  for (int c = threadIdx.x; c < slab_channels; c += blockDim.x) {
    const int i = at.slab_channel + c;
    const int64_t g = image_group + c / s.group_size;
    centers[c] = mean[g] - (shift == nullptr ? 0.0F : shift[image_channel + i]);
    scales[c] = weight[i] * rstd[g];
    offsets[c] = bias[i];
  }
  __syncthreads();

  // A channel after another: its sums need few registers that way.
#pragma unroll
  for (int c = 0; c < Number::kVector; ++c) {
    const float center = centers[at.channel + c];
    const float scale = scales[at.channel + c];
    const float offset = offsets[at.channel + c];
    float sum_dz = 0, sum_dz_x = 0, sum_x = 0;
#pragma unroll
    for (int k = 0; k < Repeats; ++k) {
      const float value = Number::get(data[k][c / Number::kPerWord], c % Number::kPerWord) - center;
      const float dz = inner_gradient<Swish>(
          value * scale + offset, Number::get(gradient[k][c / Number::kPerWord], c % Number::kPerWord));
      if (k < at.count) {
        sum_dz += dz;
        sum_dz_x += dz * value;
        sum_x += value;
      }
    }
    sum_dz = sum_rows(sum_dz, s.log_lanes);
    sum_dz_x = sum_rows(sum_dz_x, s.log_lanes);
    sum_x = sum_rows(sum_x, s.log_lanes);
    if (leads) {
      float* to = part + warp * 3 * slab_channels + at.channel + c;
      to[0] = sum_dz;
      to[slab_channels] = sum_dz_x;
      to[2 * slab_channels] = sum_x;
    }
    // Nor may the compiler work on all channels side by side.
    __syncwarp();
  }
  __syncthreads();
  for (int i = threadIdx.x; i < 3 * slab_channels; i += blockDim.x) {
    float total = 0;
    for (int w = 0; w < warps; ++w) {
      total += part[w * 3 * slab_channels + i];
    }
    const int kind = i / slab_channels, c = i - kind * slab_channels;
    if (kind == 1) {
      total *= rstd[image_group + c / s.group_size];
    }
    sums[i] = total;
    if (kind != 2) {
      image_sums[2 * image_channel + static_cast<int64_t>(kind) * s.channels + at.slab_channel + c] = total;
    }
  }
  __syncthreads();
  for (int g = threadIdx.x; g < slab_groups; g += blockDim.x) {
    float level = 0, slope = 0;
    for (int c = g * s.group_size; c < (g + 1) * s.group_size; ++c) {
      level += scales[c] * sums[c];
      slope += scales[c] * sums[slab_channels + c];
    }
    // rstd is a factor of both already, and once more of the slope: it goes with x that is not normalised.
    level /= count;
    slope *= rstd[image_group + g] / count;
    for (int c = g * s.group_size; c < (g + 1) * s.group_size; ++c) {
      levels[c] = level;
      slopes[c] = slope;
    }
  }
  __syncthreads();
  if (dshift != nullptr) {
    for (int c = threadIdx.x; c < slab_channels; c += blockDim.x) {
      dshift[image_channel + at.slab_channel + c] = scales[c] * sums[c] -
                                                    static_cast<float>(s.positions) * levels[c] -
                                                    slopes[c] * sums[2 * slab_channels + c];
    }
  }

  forget_unpacked(data);
  forget_unpacked(gradient);
#pragma unroll
  for (int w = 0; w < 4; ++w) {
    float center[Number::kPerWord], scale[Number::kPerWord], offset[Number::kPerWord];
    float level[Number::kPerWord], slope[Number::kPerWord];
#pragma unroll
    for (int j = 0; j < Number::kPerWord; ++j) {
      const int c = at.channel + w * Number::kPerWord + j;
      center[j] = centers[c];
      scale[j] = scales[c];
      offset[j] = offsets[c];
      level[j] = levels[c];
      slope[j] = slopes[c];
    }
#pragma unroll
    for (int k = 0; k < Repeats; ++k) {
      float numbers[Number::kPerWord];
#pragma unroll
      for (int j = 0; j < Number::kPerWord; ++j) {
        const float value = Number::get(data[k][w], j) - center[j];
        const float dz = inner_gradient<Swish>(value * scale[j] + offset[j], Number::get(gradient[k][w], j));
        numbers[j] = scale[j] * dz - level[j] - slope[j] * value;
      }
      data[k][w] = Number::word(numbers);
    }
  }
  store_all<Number, Repeats>(at, data, dx);
}

template <int Repeats>
void launch_forward(const NormProblem& problem, const FusedPlan& plan, const Inputs& from, void* y,
                    float* mean, float* rstd, cudaStream_t stream) {
  with_types(problem, [&]<class Number, bool Swish>() {
    using Stored = typename Number::Stored;
    const auto blocks = static_cast<unsigned>(problem.images * plan.slabs);
    forward_kernel<Number, Repeats, Swish><<<blocks, static_cast<unsigned>(plan.threads), 0, stream>>>(
        plan, problem.eps, static_cast<const Stored*>(from.x), from.weight, from.bias, from.shift,
        static_cast<Stored*>(y), mean, rstd);
  });
  check_launch("norm forward");
}

template <int Repeats>
void launch_backward(const NormProblem& problem, const FusedPlan& plan, const Inputs& from, const float* mean,
                     const float* rstd, const Gradients& into, cudaStream_t stream) {
  with_types(problem, [&]<class Number, bool Swish>() {
    using Stored = typename Number::Stored;
    const auto blocks = static_cast<unsigned>(problem.images * plan.slabs);
    const size_t channels = static_cast<size_t>(plan.vectors) * Number::kVector;
    const size_t floats = (5 + 3 + 3 * static_cast<size_t>(plan.threads) / kWarp) * channels;
    backward_kernel<Number, Repeats, Swish>
        <<<blocks, static_cast<unsigned>(plan.threads), floats * sizeof(float), stream>>>(
            plan, static_cast<const Stored*>(from.x), from.weight, from.bias, from.shift, mean, rstd,
            static_cast<const Stored*>(into.dy), static_cast<Stored*>(into.dx), into.image_sums, into.shift);
  });
  check_launch("norm backward");
}

}  // namespace

void fused_forward(const NormProblem& problem, const FusedPlan& plan, const Inputs& from, void* y,
                   float* mean, float* rstd, cudaStream_t stream) {
  const auto launch = plan.repeats == 2   ? launch_forward<2>
                      : plan.repeats == 4 ? launch_forward<4>
                      : plan.repeats == 8 ? launch_forward<8>
                                          : launch_forward<16>;
  launch(problem, plan, from, y, mean, rstd, stream);
}

void fused_backward(const NormProblem& problem, const FusedPlan& plan, const Inputs& from, const float* mean,
                    const float* rstd, const Gradients& into, cudaStream_t stream) {
  const auto launch = plan.repeats == 2   ? launch_backward<2>
                      : plan.repeats == 4 ? launch_backward<4>
                                          : launch_backward<8>;
  launch(problem, plan, from, mean, rstd, into, stream);
}

}  // namespace ddpm_eval::ddpm::cuda::norm
