#include "metrics/frechet.h"

#include "base/core/error.h"
#include "base/tensor/shape.h"
#include "base/tensor/symmetry.h"
#include "metrics/matrix_sqrt.h"

#include <cmath>
#include <utility>

namespace ddpm_eval::metrics {
namespace {

void check_side(const Moments& side, const char* name) {
  tensor::expect(side.mean, at::kDouble, {-1}, "mean");
  const int64_t dim = side.mean.size(0);
  DDPM_CHECK(dim > 0, "no features");
  if (side.covariance.dim() != 2 || side.covariance.size(0) != dim || side.covariance.size(1) != dim) {
    throw core::DataError("{} statistics: the mean has {} features and the covariance is {}", name, dim,
                          tensor::describe(side.covariance.sizes()));
  }
  tensor::expect(side.covariance, at::kDouble, {dim, dim}, "covariance");
  // A sum is finite only if every term is, and needs no memory.
  if (!std::isfinite(side.mean.sum().item<double>()) ||
      !std::isfinite(side.covariance.sum().item<double>())) {
    throw core::DataError("{} statistics: the mean or the covariance holds NaN or infinity", name);
  }
  const auto diagonal = side.covariance.diagonal();
  if (diagonal.min().item<double>() < 0.0) {
    throw core::DataError("{} statistics: a variance is negative ({}): this is no covariance matrix", name,
                          diagonal.min().item<double>());
  }
  if (const auto found = tensor::measure_asymmetry(side.covariance); !found.acceptable()) {
    throw core::DataError(
        "{} statistics: the covariance is not symmetric (elements differ from their mirror image by "
        "up to {:.3g})",
        name, found.difference);
  }
}

void add_count_note(const Moments& side, const char* name, std::vector<std::string>& notes) {
  const int64_t dim = side.mean.size(0);
  if (side.count > 0 && side.count <= dim) {
    notes.push_back(
        fmt::format("{}: {} images for {} features: the covariance is rank deficient and the distance "
                    "biased upwards; use more than {} images, better 10,000",
                    name, side.count, dim, dim));
  }
}

void add_rank_note(const Moments& side, const char* name, bool deficient, std::vector<std::string>& notes) {
  const bool explained = side.count > 0 && side.count <= side.mean.size(0);
  if (deficient && !explained) {
    notes.push_back(
        fmt::format("{}: the covariance is rank deficient: too few images, or features that are "
                    "constant or depend on each other",
                    name));
  }
}

}  // namespace

FrechetParts frechet_distance(Moments real, Moments fake, SqrtMethod method) {
  check_side(real, "real");
  check_side(fake, "fake");
  if (real.mean.size(0) != fake.mean.size(0)) {
    throw core::DataError(
        "the real side has {} features and the fake side {}: they come from different networks",
        real.mean.size(0), fake.mean.size(0));
  }
  FrechetParts parts;
  parts.mean_term = (real.mean - fake.mean).pow(2).sum().item<double>();
  parts.trace_real = real.covariance.trace().item<double>();
  parts.trace_fake = fake.covariance.trace().item<double>();

  TraceSqrt trace;
  if (method == SqrtMethod::kGeneral) {
    trace = trace_sqrt_product_general(real.covariance, fake.covariance);
  } else {
    trace = trace_sqrt_product({std::move(real.covariance), std::move(real.centred)},
                               {std::move(fake.covariance), std::move(fake.centred)});
  }
  parts.trace_sqrt = trace.value;
  parts.route = trace.route;
  parts.distance = parts.mean_term + parts.trace_real + parts.trace_fake - 2.0 * parts.trace_sqrt;
  if (!std::isfinite(parts.distance)) {
    throw core::DataError("the statistics are so large that their Frechet distance is not finite");
  }

  add_count_note(real, "real", parts.notes);
  add_count_note(fake, "fake", parts.notes);
  add_rank_note(real, "real", trace.real_deficient, parts.notes);
  add_rank_note(fake, "fake", trace.fake_deficient, parts.notes);
  if (!trace.note.empty()) {
    parts.notes.push_back(trace.note);
  }
  return parts;
}

}  // namespace ddpm_eval::metrics
