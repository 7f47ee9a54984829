#include "metrics/vendi_score.h"

#include "base/core/error.h"
#include "metrics/dense_algebra.h"
#include "metrics/feature_pairs.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <torch/types.h>

namespace ddpm_eval::metrics {
namespace {

constexpr int64_t kVendiBlock = 512;  ///< rows in float64

/// Rows of length 1, float64 [count, d].
at::Tensor unit_rows(const at::Tensor& features, int64_t begin, int64_t count) {
  const auto rows = features.narrow(0, begin, count).to(torch::kFloat64);
  const auto lengths = rows.norm(2, {1}, /*keepdim=*/true);
  if (const auto none = (lengths == 0).nonzero(); none.size(0) > 0) {
    throw core::DataError("the features of image {} are all 0, which point in no direction",
                          begin + none[0][0].item<int64_t>());
  }
  return rows / lengths;
}

/// X^T X / n, the upper triangle.
at::Tensor second_moments(const at::Tensor& features) {
  const int64_t dim = features.size(1);
  auto gram = torch::zeros({dim, dim}, torch::kFloat64);
  detail::for_each_block(features.size(0), kVendiBlock, [&](int64_t begin, int64_t count) {
    dense::add_gram(gram, unit_rows(features, begin, count));
  });
  return gram.div_(features.size(0));
}

/// X X^T / n, the upper triangle of blocks at least.
at::Tensor cosines(const at::Tensor& features) {
  const int64_t count = features.size(0);
  auto gram = torch::zeros({count, count}, torch::kFloat64);
  detail::for_each_block(count, kVendiBlock, [&](int64_t row, int64_t height) {
    const auto x = unit_rows(features, row, height);
    detail::for_each_block(count - row, kVendiBlock, [&](int64_t next, int64_t width) {
      const auto y = next == 0 ? x : unit_rows(features, row + next, width);
      gram.narrow(0, row, height).narrow(1, row + next, width).copy_(at::mm(x, y.t()));
    });
  });
  return gram.div_(count);
}

/// -log l, and 0 where rounding leaves nothing above 0.
double surprise(double eigenvalue) { return eigenvalue > 0 ? -std::log(eigenvalue) : 0.0; }

double entropy(const std::vector<double>& eigenvalues) {
  double sum = 0.0;
  for (const double one : eigenvalues) {
    sum += one * surprise(one);
  }
  return sum;
}

/// The standard error of the entropy S of E[x x^T] = C: an image x moves it by - x^T log(C) x - S.
double entropy_error(const at::Tensor& features, const dense::EigenPairs& pairs, double entropy) {
  auto surprises = torch::empty({features.size(1)}, torch::kFloat64);
  std::ranges::transform(pairs.values, surprises.data_ptr<double>(), surprise);
  const auto axes = pairs.vectors.t();
  double squares = 0.0;
  detail::for_each_block(features.size(0), kVendiBlock, [&](int64_t begin, int64_t count) {
    const auto along = at::mm(unit_rows(features, begin, count), axes);
    squares += (at::mv(along.square_(), surprises) - entropy).square().sum().item<double>();
  });
  const auto count = static_cast<double>(features.size(0));
  return std::sqrt(squares / (count * (count - 1)));
}

}  // namespace

VendiScore vendi_score(const at::Tensor& features) {
  detail::check_features(features, 2, "a Vendi score");
  const int64_t count = features.size(0), dim = features.size(1);
  if (count < dim) {
    return {std::exp(entropy(dense::symmetric_eigenvalues(cosines(features)))), std::nullopt};
  }
  auto moments = second_moments(features);
  if (count < 2 * dim) {
    return {std::exp(entropy(dense::symmetric_eigenvalues(moments))), std::nullopt};
  }
  const auto pairs = dense::symmetric_eigenpairs(moments);
  const double found = entropy(pairs.values), value = std::exp(found);
  return {value, value * entropy_error(features, pairs, found)};
}

}  // namespace ddpm_eval::metrics
