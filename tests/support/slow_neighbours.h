#pragma once

#include "metrics/neighbours.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <c10/util/Half.h>
#include <torch/types.h>

namespace ddpm_eval::testing {

inline double to_half(double value) {
  return static_cast<double>(static_cast<float>(c10::Half(static_cast<float>(value))));
}

/// Squared distances as DistanceArithmetic::kFloat64 says, float64 [n, m].
inline at::Tensor slow_exact_distances(const at::Tensor& x, const at::Tensor& y) {
  const auto distances = torch::zeros({x.size(0), y.size(0)}, at::kDouble);
  auto out = distances.accessor<double, 2>();
  const auto a = x.accessor<float, 2>(), b = y.accessor<float, 2>();
  for (int64_t i = 0; i < x.size(0); ++i) {
    for (int64_t j = 0; j < y.size(0); ++j) {
      double sums[16] = {};  // in the order of the program, so that the bits are the same
      for (int64_t d = 0; d < x.size(1); ++d) {
        const double gap = double{a[i][d]} - double{b[j][d]};
        sums[d % 16] += gap * gap;
      }
      for (const double sum : sums) {
        out[i][j] += sum;
      }
    }
  }
  return distances;
}

/// As DistanceArithmetic::kHalf says; at most 10,000 rows a side.
inline at::Tensor slow_half_distances(const at::Tensor& x, const at::Tensor& y) {
  constexpr double kLongest = 16'000;
  const auto halves = [](const at::Tensor& rows) { return rows.to(at::kHalf).to(at::kDouble); };
  const auto u = halves(x), v = halves(y);
  const auto norms = [](const at::Tensor& rows) {
    return rows.square().to(at::kHalf).to(at::kDouble).sum(1);
  };
  const auto x_norms = norms(u), y_norms = norms(v);
  if (at::cat({x_norms, y_norms}).max().item<double>() > kLongest) {
    return slow_exact_distances(x, y);
  }
  auto distances = at::mm(u, v.t());
  auto out = distances.accessor<double, 2>();
  const auto p = x_norms.accessor<double, 1>(), q = y_norms.accessor<double, 1>();
  for (int64_t i = 0; i < x.size(0); ++i) {
    for (int64_t j = 0; j < y.size(0); ++j) {
      const double difference = to_half(to_half(p[i]) - 2 * to_half(out[i][j]));
      out[i][j] = std::max(to_half(difference + to_half(q[j])), 0.0);
    }
  }
  return distances;
}

inline at::Tensor slow_distances(const at::Tensor& x, const at::Tensor& y,
                                 metrics::DistanceArithmetic arithmetic) {
  return arithmetic == metrics::DistanceArithmetic::kHalf ? slow_half_distances(x, y)
                                                          : slow_exact_distances(x, y);
}

/// The counts of metrics::neighbour_scores() by plain loops.
inline metrics::NeighbourScores slow_neighbours(const at::Tensor& real, const at::Tensor& fake,
                                                const metrics::NeighbourRule& rule) {
  const int64_t n = real.size(0), m = fake.size(0);
  const auto neighbours = [&](const at::Tensor& set) {
    auto distances = slow_distances(set, set, rule.arithmetic);
    distances.fill_diagonal_(std::numeric_limits<double>::infinity());
    return std::get<0>(distances.sort(1));
  };
  const auto real_sorted = neighbours(real), fake_sorted = neighbours(fake);
  const auto between = slow_distances(real, fake, rule.arithmetic);
  const auto d = between.accessor<double, 2>(), r = real_sorted.accessor<double, 2>(),
             f = fake_sorted.accessor<double, 2>();
  const auto holds = [&](double distance, double radius) {
    return rule.inclusive ? distance <= radius : distance < radius;
  };
  metrics::NeighbourScores scores;
  scores.balls_of_fake.resize(static_cast<size_t>(m));
  scores.sole_balls.resize(static_cast<size_t>(m));
  for (int64_t i = 0; i < n; ++i) {
    int64_t hits = 0, last = 0;
    bool inside = false;
    for (int64_t j = 0; j < m; ++j) {
      if (holds(d[i][j], r[i][rule.k - 1])) {
        ++hits;
        ++scores.balls_of_fake[static_cast<size_t>(j)];
        last = j;
      }
      inside = inside || holds(d[i][j], f[j][rule.k - 1]);
    }
    scores.hits += hits;
    scores.balls_hit += hits > 0 ? 1 : 0;
    scores.sole_balls[static_cast<size_t>(last)] += hits == 1 ? 1 : 0;
    scores.reals_in_balls += inside ? 1 : 0;
  }
  for (int64_t j = 0; j < m; ++j) {
    bool inside = false;
    int64_t nearest = 0;
    for (int64_t i = 0; i < n; ++i) {
      inside = inside || holds(d[i][j], r[i][rule.k - 1]);
      nearest = d[i][j] < d[nearest][j] ? i : nearest;
    }
    scores.fakes_in_balls += inside ? 1 : 0;
    scores.authentic += r[nearest][0] < d[nearest][j] ? 1 : 0;
    scores.nearest_real.push_back(nearest);
    scores.nearest_distance.push_back(std::sqrt(d[nearest][j]));
  }
  return scores;
}

}  // namespace ddpm_eval::testing
