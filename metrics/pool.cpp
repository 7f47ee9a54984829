#include "metrics/pool.h"

#include <torch/types.h>

#ifdef DDPM_EVAL_WITH_CUDA
#include "metrics/pool_cuda.h"

#include <ATen/cuda/CUDAContext.h>
#endif

namespace ddpm_eval::metrics {
namespace {

at::Tensor by_operators(Pool pool, const at::Tensor& x) {
  switch (pool) {
    case Pool::kNone:
      return x;
    case Pool::kAverage:
      return at::avg_pool2d(x, 3, /*stride=*/1, /*padding=*/1, /*ceil_mode=*/false,
                            /*count_include_pad=*/false);
    case Pool::kMax:
      return at::max_pool2d(x, 3, /*stride=*/1, /*padding=*/1);
    case Pool::kMaxStride2:
      return at::max_pool2d(x, 3, /*stride=*/2);
  }
  return x;
}

#ifdef DDPM_EVAL_WITH_CUDA
cuda::PoolKind kind_of(Pool pool) {
  return pool == Pool::kAverage ? cuda::PoolKind::kAverage
         : pool == Pool::kMax   ? cuda::PoolKind::kMax
                                : cuda::PoolKind::kMaxStride2;
}

/// What the operators refuse is theirs to refuse.
bool suits_kernel(Pool pool, const at::Tensor& x) {
  const int64_t least = pool == Pool::kMaxStride2 ? 3 : 1;
  return pool != Pool::kNone && x.is_cuda() && x.scalar_type() == at::kFloat && x.dim() == 4 &&
         x.numel() > 0 && x.size(2) >= least && x.size(3) >= least &&
         x.numel() / x.size(0) <= cuda::kMaxPoolNumbers;
}

at::Tensor by_kernel(Pool pool, const at::Tensor& given) {
  constexpr auto layout = at::MemoryFormat::ChannelsLast;
  const at::Tensor x = given.contiguous(layout);
  const auto kind = kind_of(pool);
  const cuda::PoolProblem problem{
      .kind = kind, .images = x.size(0), .channels = x.size(1), .height = x.size(2), .width = x.size(3)};
  const at::Tensor y = at::empty(
      {x.size(0), x.size(1), cuda::pooled_side(kind, x.size(2)), cuda::pooled_side(kind, x.size(3))},
      x.options(), layout);
  cuda::pool(problem, x.data_ptr<float>(), y.data_ptr<float>(), at::cuda::getCurrentCUDAStream());
  return y;
}
#endif

}  // namespace

at::Tensor pooled(Pool pool, const at::Tensor& x) {
#ifdef DDPM_EVAL_WITH_CUDA
  if (suits_kernel(pool, x)) {
    return by_kernel(pool, x);
  }
#endif
  return by_operators(pool, x);
}

}  // namespace ddpm_eval::metrics
