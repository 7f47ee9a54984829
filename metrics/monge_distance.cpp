#include "metrics/monge_distance.h"

#include "base/core/error.h"
#include "metrics/feature_pairs.h"

#include <algorithm>

#include <ATen/CPUGeneratorImpl.h>
#include <torch/types.h>

namespace ddpm_eval::metrics {

MongeDistance monge_distance(const at::Tensor& real, const at::Tensor& fake, const MongeDistanceRule& rule,
                             const DistanceProgress& progress) {
  detail::check_features(real, fake, 1, "MIND");
  if (rule.projections < 1) {
    throw core::UsageError("MIND needs at least 1 projection, not {}", rule.projections);
  }
  auto generator = at::detail::createCPUGenerator(rule.seed);
  const int64_t count = std::min(real.size(0), fake.size(0)), dim = real.size(1);
  // The tool's first input is the generated one.
  const auto drawn = [&](const at::Tensor& features) {
    return features.size(0) == count
               ? features
               : features.index_select(
                     0, at::randperm(features.size(0), generator, torch::kInt64).narrow(0, 0, count));
  };
  const auto of_fake = drawn(fake), of_real = drawn(real);
  const auto normal = at::randn({rule.projections, dim}, generator, torch::kFloat32);
  const auto directions =
      (normal / normal.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12)).to(torch::kFloat64);
  const double root = sliced_wasserstein_along(directions, of_real, of_fake, 2.0, progress);
  return {3.0 * static_cast<double>(dim) * root * root, count};
}

}  // namespace ddpm_eval::metrics
