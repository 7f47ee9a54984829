#include "metrics/kernel_distance.h"

#include "base/core/error.h"
#include "base/core/numpy_random.h"
#include "metrics/feature_pairs.h"
#include "metrics/kernel_sums.h"
#include "metrics/row_kernels.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <torch/types.h>

namespace ddpm_eval::metrics {

std::string describe(const Kernel& kernel) {
  if (kernel.kind == Kernel::Kind::kRbf) {
    return fmt::format("exp(-|x - y|^2 / (2 {}^2))", kernel.sigma);
  }
  const auto product = kernel.gamma ? fmt::format("{} <x, y>", *kernel.gamma) : std::string("<x, y> / d");
  return fmt::format("({} + {})^{}", product, kernel.coef, kernel.degree);
}

void check_kernel(const Kernel& kernel) {
  constexpr int64_t kHighest = 16;
  if (kernel.kind == Kernel::Kind::kRbf) {
    const double doubled = 2.0 * kernel.sigma * kernel.sigma;
    if (!(kernel.sigma > 0.0 && std::isfinite(doubled) && std::isfinite(1.0 / doubled))) {
      throw core::UsageError(
          "the width sigma of an RBF kernel must be above 0 and finite, and its square as well, not {}",
          kernel.sigma);
    }
  } else if (kernel.degree < 1 || kernel.degree > kHighest) {
    throw core::UsageError("the degree of a polynomial kernel must be 1 to {}, not {}", kHighest,
                           kernel.degree);
  } else if (kernel.gamma == 0.0) {
    throw core::UsageError("gamma of a polynomial kernel must not be 0: all images would be alike to it");
  } else if (!std::isfinite(kernel.gamma.value_or(1.0)) || !std::isfinite(kernel.coef)) {
    throw core::UsageError("gamma and coef of a polynomial kernel must be finite, not {} and {}",
                           kernel.gamma.value_or(1.0), kernel.coef);
  }
}

namespace {

/// The unbiased estimate between sets of equal size, in the given arithmetic.
class SubsetEstimate {
 public:
  SubsetEstimate(const Kernel& kernel, KernelArithmetic arithmetic)
      : kernel_(kernel),
        dtype_(arithmetic == KernelArithmetic::kFloat32 ? torch::kFloat32 : torch::kFloat64),
        memory_(torch::empty({0}, dtype_)) {}

  double operator()(const at::Tensor& real, const at::Tensor& fake) {
    const auto x = real.to(dtype_), y = fake.to(dtype_);
    const auto size = static_cast<double>(x.size(0));
    const double pairs = size * (size - 1), squared = size * size;
    if (dtype_ == torch::kFloat32 && kernel_.kind == Kernel::Kind::kPolynomial) {
      // Down to the rounding of the sum of two sums.
      const float within = float32_pairs(x) + float32_pairs(y);
      return double{within} / pairs - 2 * double{float32_total(values(y, x))} / squared;
    }
    return (sum_of_pairs(x) + sum_of_pairs(y)) / pairs -
           2 * values(x, y).sum(torch::kFloat64).item<double>() / squared;
  }

 private:
  double sum_of_pairs(const at::Tensor& x) {
    const auto k = values(x, x);
    return k.sum(torch::kFloat64).item<double>() - k.diagonal().sum(torch::kFloat64).item<double>();
  }

  /// NumPy's k.sum(axis=1) - diagonal(k), added up.
  float float32_pairs(const at::Tensor& x) {
    const auto k = values(x, x);
    const int64_t size = k.size(0);
    const auto* data = k.data_ptr<float>();
    std::vector<float> rows(static_cast<size_t>(size));
    for (int64_t i = 0; i < size; ++i) {
      rows[i] = detail::pairwise_sum(data + i * size, size) - data[i * size + i];
    }
    return detail::pairwise_sum(rows.data(), size);
  }

  /// NumPy's k.sum(axis=0), row by row, added up.
  static float float32_total(const at::Tensor& k) {
    const int64_t columns = k.size(1);
    std::vector<float> sums(static_cast<size_t>(columns));
    for (int64_t i = 0; i < k.size(0); ++i) {
      detail::add_to(k.data_ptr<float>() + i * columns, columns, sums.data());
    }
    return detail::pairwise_sum(sums.data(), columns);
  }

  at::Tensor values(const at::Tensor& x, const at::Tensor& y) {
    auto products = detail::inner_products(x, y, memory_);
    if (kernel_.kind == Kernel::Kind::kPolynomial) {
      const double gamma = kernel_.gamma.value_or(1.0 / static_cast<double>(x.size(1)));
      return products.mul_(gamma).add_(kernel_.coef).pow_(kernel_.degree);
    }
    // torch-fidelity's float32 ends with the products and the norms.
    const auto norms = [](const at::Tensor& rows) { return rows.square().sum(1).to(torch::kFloat64); };
    auto exponents = products.to(torch::kFloat64).mul_(2);
    exponents.sub_(norms(x).unsqueeze(1)).sub_(norms(y).unsqueeze(0));
    return exponents.clamp_max_(0).div_(2 * kernel_.sigma * kernel_.sigma).exp_();
  }

  Kernel kernel_;
  at::ScalarType dtype_;
  at::Tensor memory_;
};

int64_t checked_subset_size(const at::Tensor& real, const at::Tensor& fake, const KernelDistanceRule& rule) {
  if (rule.subsets < 1 || rule.subset_size < 2) {
    throw core::UsageError("KID needs at least 1 subset of at least 2 images, not {} of {}", rule.subsets,
                           rule.subset_size);
  }
  const int64_t least = std::min(real.size(0), fake.size(0));
  if (rule.subset_size > least && !rule.shrink) {
    throw core::DataError(
        "KID by subsets of {} images cannot be drawn from {} real and {} fake ones: score more images or "
        "take "
        "subsets of at most {}",
        rule.subset_size, real.size(0), fake.size(0), least);
  }
  return std::min(rule.subset_size, least);
}

at::Tensor drawn(const at::Tensor& rows, int64_t size, core::NumpyRandom& random) {
  return rows.index_select(0, torch::tensor(random.choice(rows.size(0), size), torch::kLong));
}

}  // namespace

KernelEstimate kernel_estimate(const at::Tensor& real, const at::Tensor& fake, const Kernel& kernel,
                               const DistanceProgress& progress) {
  check_kernel(kernel);
  detail::check_features(real, fake, 2, "a kernel distance");
  const auto reals = real.contiguous(), fakes = fake.contiguous();
  detail::PairProgress pairs(detail::pairs_of_kernel_sums(reals, fakes), progress);
  return detail::estimate_from(detail::kernel_sums(reals, fakes, kernel, pairs));
}

KernelDistance kernel_distance(const at::Tensor& real, const at::Tensor& fake, const KernelDistanceRule& rule,
                               const DistanceProgress& progress) {
  check_kernel(rule.kernel);
  detail::check_features(real, fake, 2, "KID");
  const int64_t size = checked_subset_size(real, fake, rule);
  const auto reals = real.contiguous(), fakes = fake.contiguous();
  const int64_t subset_pairs = 3 * size * size;
  const int64_t all_pairs = rule.all_pairs ? detail::pairs_of_kernel_sums(reals, fakes) : 0;
  detail::PairProgress pairs(rule.subsets * subset_pairs + all_pairs, progress);

  core::NumpyRandom random(rule.seed.value_or(kSubsetSeed));
  SubsetEstimate estimate(rule.kernel, rule.arithmetic);
  std::vector<double> values;
  for (int64_t subset = 0; subset < rule.subsets; ++subset) {
    const auto fake_subset = drawn(fakes, size, random);
    const auto real_subset = drawn(reals, size, random);
    values.push_back(estimate(real_subset, fake_subset));
    detail::require_finite_kernel(values.back());
    pairs.add(subset_pairs);
  }
  const auto all = torch::tensor(values, torch::kFloat64);
  KernelDistance result{all.mean().item<double>(), all.std(/*unbiased=*/false).item<double>(), rule.subsets,
                        size, std::nullopt};
  if (rule.all_pairs) {
    result.all_pairs = detail::estimate_from(detail::kernel_sums(reals, fakes, rule.kernel, pairs));
  }
  return result;
}

}  // namespace ddpm_eval::metrics
