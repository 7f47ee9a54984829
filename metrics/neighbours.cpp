#include "metrics/neighbours.h"

#include "base/core/error.h"
#include "metrics/nearest_lists.h"
#include "metrics/pair_distance.h"
#include "metrics/pair_scan.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include <ATen/Parallel.h>
#include <torch/types.h>

namespace ddpm_eval::metrics {
namespace {

using detail::Block;
using detail::DistanceBounds;
using detail::NearestLists;
using detail::PairDistance;
using detail::PairProgress;
using detail::threshold;
using detail::thresholds;
using detail::Workspace;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

using Flags = std::vector<uint8_t>;
using Counts = std::vector<int64_t>;

void set_flag(Flags& flags, int64_t i) { std::atomic_ref(flags[i]).store(1, std::memory_order_relaxed); }
bool flag(Flags& flags, int64_t i) { return std::atomic_ref(flags[i]).load(std::memory_order_relaxed) != 0; }
void count_up(Counts& counts, int64_t i) {
  std::atomic_ref(counts[i]).fetch_add(1, std::memory_order_relaxed);
}
int64_t count_flags(const Flags& flags) { return std::count(flags.begin(), flags.end(), uint8_t{1}); }

/// What lies in whose ball, and which real image is nearest to a fake one.
class BetweenSets {
 public:
  BetweenSets(const at::Tensor& real, const at::Tensor& fake, const NearestLists& real_lists,
              const NearestLists& fake_lists, const NeighbourRule& rule)
      : real_(real),
        fake_(fake),
        real_lists_(real_lists),
        fake_lists_(fake_lists),
        inclusive_(rule.inclusive),
        distance_(real, fake, rule.arithmetic),
        bounds_(real, fake, rule.arithmetic),
        real_side_(bounds_.side(real)),
        fake_side_(bounds_.side(fake)),
        hits_(static_cast<size_t>(real.size(0))),
        real_in_ball_(static_cast<size_t>(real.size(0))),
        last_hit_(static_cast<size_t>(real.size(0))),
        balls_of_fake_(static_cast<size_t>(fake.size(0))),
        nearest_(static_cast<size_t>(fake.size(0)), kInfinity),
        nearest_limit_(nearest_),
        nearest_real_(static_cast<size_t>(fake.size(0)), -1) {}

  NeighbourScores run(int64_t size, Workspace& memory, PairProgress& progress) {
    detail::for_each_block(real_.size(0), size, [&](int64_t row, int64_t height) {
      const auto x = bounds_.block(real_, row, height, memory.x);
      detail::for_each_block(fake_.size(0), size, [&](int64_t column, int64_t width) {
        const auto y = bounds_.block(fake_, column, width, memory.y);
        const auto products = detail::inner_products(x, y, memory.products);
        const Block block{products.data_ptr<float>(),
                          height,
                          width,
                          real_side_.low.data() + row,
                          real_side_.high.data() + row,
                          fake_side_.low.data() + column,
                          fake_side_.high.data() + column};
        look_into_real_balls(block, row, column);
        bring_limits_down(block, column);
        look_around_fakes(block, row, column);
        progress.add(height * width);
      });
    });
    return scores();
  }

 private:
  bool holds(double distance, double radius) const {
    return inclusive_ ? distance <= radius : distance < radius;
  }

  void look_into_real_balls(const Block& block, int64_t row, int64_t column) {
    const double unit = bounds_.unit();
    detail::scan_rows(
        block, thresholds(block.column_low, block.columns),
        [&](int64_t i) { return threshold(block.row_low[i], real_lists_.farthest(row + i) * unit); },
        [&](int64_t i, int64_t j) {
          const double radius = real_lists_.farthest(row + i);
          if (block.high(i, j) < radius * unit ||
              (!(block.low(i, j) > radius * unit) && holds(distance_(row + i, column + j), radius))) {
            ++hits_[row + i];
            last_hit_[row + i] = column + j;
            count_up(balls_of_fake_, column + j);
          }
        });
  }

  /// The nearest real image of this block is no farther than the smallest upper bound.
  void bring_limits_down(const Block& block, int64_t column) {
    detail::for_column_parts(block.columns, [&](int64_t first, int64_t count) {
      std::vector<float> largest(static_cast<size_t>(count), -std::numeric_limits<float>::infinity());
      for (int64_t i = 0; i < block.rows; ++i) {
        detail::raise_to(block.products + i * block.columns + first, threshold(block.row_high[i]), count,
                         largest.data());
      }
      for (int64_t j = 0; j < count; ++j) {
        const double high = block.column_high[first + j] - 2.0 * double{largest[j]};
        double& limit = nearest_limit_[column + first + j];
        limit = std::min(limit, high / bounds_.unit());
      }
    });
  }

  void look_around_fakes(const Block& block, int64_t row, int64_t column) {
    const double unit = bounds_.unit();
    std::vector<float> by_column(static_cast<size_t>(block.columns));
    for (int64_t j = 0; j < block.columns; ++j) {
      const double limit = std::max(nearest_limit_[column + j], fake_lists_.farthest(column + j));
      by_column[j] = threshold(block.column_low[j], limit * unit);
    }
    detail::scan_columns(
        block, by_column, [&](int64_t i) { return threshold(block.row_low[i]); },
        [&](int64_t i, int64_t j) {
          const int64_t real = row + i, fake = column + j;
          const double radius = fake_lists_.farthest(fake), low = block.low(i, j);
          bool asked = !(low > radius * unit) && !flag(real_in_ball_, real);
          if (asked && block.high(i, j) < radius * unit) {
            set_flag(real_in_ball_, real);
            asked = false;
          }
          const bool near = !(low > nearest_limit_[fake] * unit);
          if (!asked && !near) {
            return;
          }
          const double distance = distance_(real, fake);
          if (asked && holds(distance, radius)) {
            set_flag(real_in_ball_, real);
          }
          if (distance < nearest_[fake] || (distance == nearest_[fake] && real < nearest_real_[fake])) {
            nearest_[fake] = distance;
            nearest_real_[fake] = real;
            nearest_limit_[fake] = std::min(nearest_limit_[fake], distance);
          }
        });
  }

  NeighbourScores scores() const {
    NeighbourScores result;
    result.real = real_.size(0);
    result.fake = fake_.size(0);
    result.fakes_in_balls = std::ranges::count_if(balls_of_fake_, [](int64_t balls) { return balls > 0; });
    result.balls_of_fake = balls_of_fake_;
    result.sole_balls.resize(balls_of_fake_.size());
    result.reals_in_balls = count_flags(real_in_ball_);
    for (size_t i = 0; i < hits_.size(); ++i) {
      result.hits += hits_[i];
      result.balls_hit += hits_[i] > 0 ? 1 : 0;
      if (hits_[i] == 1) {
        ++result.sole_balls[static_cast<size_t>(last_hit_[i])];
      }
    }
    result.nearest_real = nearest_real_;
    for (int64_t j = 0; j < result.fake; ++j) {
      result.authentic += real_lists_.nearest(nearest_real_[j]) < nearest_[j] ? 1 : 0;
      result.nearest_distance.push_back(std::sqrt(nearest_[j]));
    }
    return result;
  }

  at::Tensor real_, fake_;
  const NearestLists& real_lists_;
  const NearestLists& fake_lists_;
  bool inclusive_;
  PairDistance distance_;
  DistanceBounds bounds_;
  DistanceBounds::Side real_side_, fake_side_;
  Counts hits_;  ///< of each real image's ball
  Flags real_in_ball_;
  Counts last_hit_;  ///< of each real image's ball: the fake image that was found in it last
  Counts balls_of_fake_;
  std::vector<double> nearest_;        ///< squared
  std::vector<double> nearest_limit_;  ///< no farther than this is the nearest real image; squared
  std::vector<int64_t> nearest_real_;
};

}  // namespace

NeighbourScores neighbour_scores(const at::Tensor& real, const at::Tensor& fake, const NeighbourRule& rule,
                                 const DistanceProgress& progress) {
  if (rule.k < 1) {
    throw core::UsageError("a ball reaches to the k-th nearest neighbour with k of 1 or more, not {}",
                           rule.k);
  }
  detail::check_features(real, fake, rule.k + 1, fmt::format("a ball up to neighbour {}", rule.k));
  const auto reals = real.contiguous();
  const auto fakes = fake.contiguous();
  const int64_t size = rule.block_rows > 0 ? rule.block_rows : detail::rows_of_block(real.size(1));
  const int64_t n = reals.size(0), m = fakes.size(0);
  PairProgress pairs(detail::pairs_of_one_set(n, size) + detail::pairs_of_one_set(m, size) + n * m, progress);
  Workspace memory;
  const auto real_lists = detail::nearest_within(reals, rule, size, memory, pairs);
  const auto fake_lists = detail::nearest_within(fakes, rule, size, memory, pairs);
  auto result = BetweenSets(reals, fakes, real_lists, fake_lists, rule).run(size, memory, pairs);
  const auto share = [](int64_t part, int64_t of) {
    return static_cast<double>(part) / static_cast<double>(of);
  };
  result.k = rule.k;
  result.precision = share(result.fakes_in_balls, m);
  result.recall = share(result.reals_in_balls, n);
  result.f_score = 2.0 * result.precision * result.recall / std::max(1e-5, result.precision + result.recall);
  result.density = share(result.hits, rule.k * m);
  result.coverage = share(result.balls_hit, n);
  result.authenticity = share(result.authentic, m);
  return result;
}

double expected_coverage(int64_t real, int64_t fake, int64_t k) {
  DDPM_CHECK(k >= 1 && k < real && fake >= 1, "{} real and {} fake images, k = {}", real, fake, k);
  double missed = 1.0;
  for (int64_t i = 1; i <= k; ++i) {
    missed *= static_cast<double>(real - i) / static_cast<double>(fake + real - i);
  }
  return 1.0 - missed;
}

}  // namespace ddpm_eval::metrics
