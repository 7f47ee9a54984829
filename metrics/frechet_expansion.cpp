#include "metrics/frechet_expansion.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "base/tensor/shape.h"
#include "metrics/dense_algebra.h"

#include <algorithm>
#include <limits>

namespace ddpm_eval::metrics {
namespace {

constexpr int64_t kRows = 1024;   ///< images worked on at a time
constexpr int64_t kPairs = 4096;  ///< over which a squared kernel is averaged: to some 3 % where it matters

at::Tensor row_sums(const at::Tensor& matrix) { return matrix.sum(1); }

/// Eigenvalues below this are rounding.
int64_t null_space_of(const std::vector<double>& ascending) {
  const double largest = ascending.empty() ? 0.0 : std::max(ascending.back(), 0.0);
  const double floor =
      static_cast<double>(ascending.size()) * std::numeric_limits<double>::epsilon() * largest;
  return std::upper_bound(ascending.begin(), ascending.end(), floor) - ascending.begin();
}

struct Spectrum {
  at::Tensor values;   ///< float64 [r], positive
  at::Tensor vectors;  ///< float64 [r, d]
};

/// `matrix` is destroyed.
Spectrum spectrum_of(at::Tensor matrix) {
  const auto pairs = dense::symmetric_eigenpairs(matrix);
  const auto dim = static_cast<int64_t>(pairs.values.size());
  const int64_t null_space = null_space_of(pairs.values);
  return {torch::tensor(pairs.values, at::kDouble).narrow(0, null_space, dim - null_space),
          pairs.vectors.narrow(0, null_space, dim - null_space)};
}

/// P with S = P^T P, float64 [r, d].
at::Tensor factor_of(const at::Tensor& covariance) {
  auto factor = covariance.clone(at::MemoryFormat::Contiguous);
  if (dense::cholesky_in_place(factor)) {
    return factor.triu();
  }
  const auto spectrum = spectrum_of(std::move(factor));
  return spectrum.vectors * spectrum.values.sqrt().unsqueeze(1);
}

/// The coordinates in which both sides have the same diagonal second moment.
struct Coordinates {
  at::Tensor roots;    ///< sqrt(lambda), float64 [r]
  at::Tensor omega;    ///< float64 [r, r]
  at::Tensor of_real;  ///< float64 [r, d]: from a centred vector to y
  at::Tensor of_fake;  ///< to z
};

Coordinates coordinates_of(const Moments& real, const Moments& fake) {
  const auto factor = factor_of(real.covariance);
  const auto spectrum = spectrum_of(at::mm(at::mm(factor, fake.covariance), factor.t()).contiguous());
  Coordinates result;
  result.roots = spectrum.values.sqrt();
  const auto column = result.roots.unsqueeze(1);
  result.omega = 1.0 / (column * result.roots * (column + result.roots));
  result.of_fake = at::mm(spectrum.vectors, factor);
  result.of_real = at::mm(result.of_fake, fake.covariance) / column;
  return result;
}

/// k(z, z') of the header, row by row: float64 [n, r] and [n, r] to [n].
at::Tensor kernel(const at::Tensor& one, const at::Tensor& other, const Coordinates& coordinates) {
  const auto inverse = 1.0 / coordinates.roots;
  const auto product = one * other;
  const auto squares = at::mv(one * one + other * other, inverse);
  return 2.0 * at::mv(product, inverse) + row_sums(at::mm(product, coordinates.omega) * product) -
         0.5 * squares + 0.5 * coordinates.roots.sum();
}

/// One side of the distance: its images and where they are expanded.
class Side {
 public:
  /// `shift`: mean of this side less that of the other. `to_coordinates` [r, d].
  Side(at::Tensor features, const Moments& moments, at::Tensor shift, at::Tensor to_coordinates,
       const Coordinates& coordinates, at::Tensor order)
      : features_(std::move(features)),
        moments_(moments),
        shift_(std::move(shift)),
        to_coordinates_(std::move(to_coordinates)),
        coordinates_(coordinates),
        order_(std::move(order)) {}

  int64_t count() const { return features_.size(0); }

  /// var psi / N, and the bias.
  struct Terms {
    double variance = 0.0;
    double bias = 0.0;
  };
  Terms terms(const std::function<void(int64_t rows)>& done) const {
    const auto inverse = 1.0 / coordinates_.roots;
    auto slopes = torch::empty({count()}, at::kDouble);
    double curvature = 0.0;
    for (int64_t begin = 0; begin < count(); begin += kRows) {
      const int64_t size = std::min(kRows, count() - begin);
      const auto centred = features_.narrow(0, begin, size).to(at::kDouble) - moments_.mean;
      const auto squares = at::mm(centred, to_coordinates_.t()).square_();
      slopes.narrow(0, begin, size)
          .copy_(2.0 * at::mv(centred, shift_) + row_sums(centred.square()) - at::mv(squares, inverse));
      curvature += (at::mm(squares, coordinates_.omega) * squares).sum().item<double>();
      done(size);
    }
    const auto images = static_cast<double>(count());
    const double trace = moments_.covariance.trace().item<double>();
    const double trace_sqrt = coordinates_.roots.sum().item<double>();
    return {slopes.var(/*unbiased=*/true).item<double>() / images,
            (2.0 * trace + curvature / images - 0.5 * trace_sqrt) / (2.0 * images)};
  }

  /// Coordinates of the images [begin, begin + size) of the shuffled set, which begins anew after its end.
  at::Tensor shuffled(int64_t begin, int64_t size) const {
    const auto wanted =
        order_.index_select(0, (torch::arange(begin, begin + size, at::kLong)).remainder(count()));
    const auto centred = features_.index_select(0, wanted).to(at::kDouble) - moments_.mean;
    return at::mm(centred, to_coordinates_.t());
  }

 private:
  at::Tensor features_;
  const Moments& moments_;
  at::Tensor shift_;
  at::Tensor to_coordinates_;
  const Coordinates& coordinates_;
  at::Tensor order_;
};

/// The mean of k^2 over pairs of images of two sides, or of different images of one.
double mean_square(const Side& one, const Side& other, const Coordinates& coordinates) {
  const bool same = &one == &other;
  const int64_t rows = std::min(one.count(), kPairs);
  // Every shift of the one set against the other gives new pairs; of one set, half of the shifts give all.
  const int64_t most = same ? std::max<int64_t>(1, (one.count() - 1) / 2) : other.count();
  const int64_t shifts = std::clamp<int64_t>(kPairs / rows, 1, most);
  double sum = 0.0;
  const auto first = one.shuffled(0, rows);
  for (int64_t shift = 0; shift < shifts; ++shift) {
    const auto second = other.shuffled(same ? shift + 1 : shift, rows);
    sum += kernel(first, second, coordinates).square().sum().item<double>();
  }
  return sum / static_cast<double>(rows * shifts);
}

}  // namespace

FrechetExpansion expand_frechet(const Moments& real, const Moments& fake, const at::Tensor& real_features,
                                const at::Tensor& fake_features, uint64_t seed,
                                const UncertaintyProgress& progress) {
  const int64_t dim = fake.mean.size(0);
  tensor::expect(fake_features, at::kFloat, {-1, dim}, "fake features");
  const bool two = real_features.defined();
  if (two) {
    tensor::expect(real_features, at::kFloat, {-1, dim}, "real features");
  }
  const auto coordinates = coordinates_of(real, fake);
  const auto order = [&](int64_t side, int64_t count) {
    return tensor::permutation({seed, "frechet.pairs"}, side, count);
  };
  int64_t done = 0;
  const int64_t total = fake_features.size(0) + (two ? real_features.size(0) : 0);
  const auto count_rows = [&](int64_t rows) {
    done += rows;
    if (progress) {
      progress(done, total);
    }
  };
  const auto shift = fake.mean - real.mean;
  const Side fakes(fake_features, fake, shift, coordinates.of_fake, coordinates,
                   order(1, fake_features.size(0)));
  const auto m = static_cast<double>(fakes.count());
  auto terms = fakes.terms(count_rows);
  FrechetExpansion result{terms.variance, mean_square(fakes, fakes, coordinates) / (2.0 * m * m), terms.bias};
  if (two) {
    const Side reals(real_features, real, -shift, coordinates.of_real, coordinates,
                     order(0, real_features.size(0)));
    const auto n = static_cast<double>(reals.count());
    terms = reals.terms(count_rows);
    result.variance += terms.variance;
    result.bias += terms.bias;
    result.quadratic += mean_square(reals, reals, coordinates) / (2.0 * n * n) +
                        mean_square(fakes, reals, coordinates) / (n * m);
  }
  result.variance = std::max(result.variance - result.quadratic, result.quadratic);
  return result;
}

}  // namespace ddpm_eval::metrics
