#include "metrics/extrapolation.h"

#include "base/core/error.h"
#include "base/tensor/noise.h"
#include "base/tensor/shape.h"
#include "metrics/frechet.h"
#include "metrics/score_sums.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace ddpm_eval::metrics {
namespace {

constexpr int64_t kLeastSizes = 3;  ///< two make a line, and a third says how far from one they are

std::vector<int64_t> sizes_for(int64_t count, int64_t features, const ExtrapolationOptions& options) {
  if (options.sizes < kLeastSizes) {
    throw core::UsageError("a line through scores of several sizes needs at least {} of them, not {}",
                           kLeastSizes, options.sizes);
  }
  const int64_t first = options.smallest == 0 ? first_size(count, features) : options.smallest;
  const int64_t number = std::min(options.sizes, count - first + 1);
  if (first >= 2 && number < kLeastSizes && options.smallest == 0) {
    throw core::DataError("{} images are too few to extrapolate from: score at least {}", count,
                          kLeastSizes + 1);
  }
  if (first < 2 || number < kLeastSizes) {
    throw core::UsageError("sizes from {} do not fit {} images: begin at 2 or more and at most {}", first,
                           count, count - kLeastSizes + 1);
  }
  std::vector<int64_t> sizes;
  for (int64_t i = 0; i < number; ++i) {
    sizes.push_back(first + i * (count - first) / (number - 1));
  }
  return sizes;
}

/// Shows `add` the rows of a shuffled set, a part for each size, and asks `score` after each.
template <class Add, class Score>
Extrapolation extrapolate(const at::Tensor& rows, const ExtrapolationOptions& options, const Add& add,
                          const Score& score) {
  auto sizes = sizes_for(rows.size(0), rows.size(1), options);
  const auto order = tensor::permutation({options.seed, "extrapolation.order"}, 0, rows.size(0));
  std::vector<double> values;
  int64_t seen = 0;
  for (const int64_t size : sizes) {
    add(rows.index_select(0, order.narrow(0, seen, size - seen)));
    seen = size;
    values.push_back(score(static_cast<int64_t>(values.size()) + 1, static_cast<int64_t>(sizes.size())));
  }
  const int64_t least = sizes.front();
  auto result = fit_in_inverse_size(std::move(sizes), std::move(values));
  if (least < 2 * rows.size(1)) {
    result.notes.push_back(fmt::format(
        "the sizes begin at {}, below twice the {} columns: such scores are no straight line in 1/N", least,
        rows.size(1)));
  }
  return result;
}

}  // namespace

int64_t first_size(int64_t count, int64_t features) {
  constexpr int64_t kPublished = 5000;
  return std::min(kPublished, std::max({count / 10, std::min(2 * features, count / 2), int64_t{2}}));
}

Extrapolation fit_in_inverse_size(std::vector<int64_t> sizes, std::vector<double> values) {
  DDPM_CHECK(sizes.size() >= kLeastSizes && values.size() == sizes.size(), "{} sizes and {} values",
             sizes.size(), values.size());
  const size_t number = sizes.size();
  const auto points = static_cast<double>(number);
  std::vector<double> inverse;
  double mean_x = 0.0;
  double mean_y = 0.0;
  for (size_t i = 0; i < number; ++i) {
    DDPM_CHECK(sizes[i] > (i == 0 ? 0 : sizes[i - 1]), "the sizes do not ascend");
    inverse.push_back(1.0 / static_cast<double>(sizes[i]));
    mean_x += inverse[i] / points;
    mean_y += values[i] / points;
  }
  double xx = 0.0;
  double xy = 0.0;
  double yy = 0.0;
  for (size_t i = 0; i < number; ++i) {
    xx += (inverse[i] - mean_x) * (inverse[i] - mean_x);
    xy += (inverse[i] - mean_x) * (values[i] - mean_y);
    yy += (values[i] - mean_y) * (values[i] - mean_y);
  }
  Extrapolation result;
  result.slope = xy / xx;
  result.intercept = mean_y - result.slope * mean_x;
  result.r_squared = yy > 0.0 ? xy * xy / (xx * yy) : 1.0;

  // What is independent are the steps from one size to the next; their best slope joins the two ends.
  const double chord = (values.front() - values.back()) / (inverse.front() - inverse.back());
  double noise = 0.0;
  for (size_t i = 1; i < number; ++i) {
    const double step = inverse[i - 1] - inverse[i];
    const double rest = values[i - 1] - values[i] - chord * step;
    noise += rest * rest / step / (points - 2);
  }
  std::vector<double> weights;  // of the values in the intercept
  for (const double x : inverse) {
    weights.push_back(1.0 / points - mean_x * (x - mean_x) / xx);
  }
  double share = 0.0;
  for (size_t i = 0; i < number; ++i) {
    for (size_t j = 0; j < number; ++j) {
      share += weights[i] * weights[j] * std::min(inverse[i], inverse[j]);
    }
  }
  result.intercept_deviation = std::sqrt(noise * std::max(share, 0.0));
  result.sizes = std::move(sizes);
  result.values = std::move(values);
  return result;
}

Extrapolation frechet_infinity(const Moments& real, const at::Tensor& fake,
                               const ExtrapolationOptions& options, const UncertaintyProgress& progress) {
  tensor::expect(fake, at::kFloat, {-1, -1}, "fake features");
  MomentsAccumulator accumulator(fake.size(1));
  return extrapolate(
      fake, options, [&](const at::Tensor& rows) { accumulator.add(rows); },
      [&](int64_t done, int64_t total) {
        const double value = frechet_distance(real, accumulator.finish()).distance;
        if (progress) {
          progress(done, total);
        }
        return value;
      });
}

Extrapolation score_infinity(const at::Tensor& logits, const ExtrapolationOptions& options) {
  tensor::expect(logits, at::kFloat, {-1, -1}, "logits");
  if (!at::isfinite(logits).all().item<bool>()) {
    throw core::DataError(
        "the logits of {} images hold NaN or infinity: the weights or the images are damaged",
        logits.size(0));
  }
  ScoreSums sums(logits.size(1));
  return extrapolate(
      logits, options, [&](const at::Tensor& rows) { sums.add(rows); },
      [&](int64_t /*done*/, int64_t /*total*/) { return sums.score(); });
}

std::optional<double> bias_of_few(const Moments& real, const Moments& fake, double distance, uint64_t seed) {
  constexpr int64_t kFewest = 4;
  constexpr int64_t kHalves = 4;  // both of two ways to halve them
  if (!fake.centred.defined() || fake.count < kFewest) {
    return std::nullopt;
  }
  const auto rows_of_all = fake.centred * std::sqrt(static_cast<double>(fake.count - 1));
  const int64_t count = fake.count / 2;
  double sum = 0.0;
  for (int64_t half = 0; half < kHalves; ++half) {
    const auto order = tensor::permutation({seed, "bias.half"}, half / 2, fake.count);
    const auto rows = rows_of_all.index_select(0, order.narrow(0, half % 2 * count, count));
    const auto mean = rows.mean(0);
    auto centred = (rows - mean) / std::sqrt(static_cast<double>(count - 1));
    auto covariance = centred.t().mm(centred);
    sum +=
        frechet_distance(real, {fake.mean + mean, std::move(covariance), count, std::move(centred)}).distance;
  }
  return sum / kHalves - distance;
}

}  // namespace ddpm_eval::metrics
