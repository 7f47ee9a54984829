#include "metrics/curve_distance.h"

#include "base/core/error.h"
#include "base/core/statistics.h"
#include "base/tensor/shape.h"
#include "metrics/point_pairs.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <vector>

#include <ATen/Parallel.h>

namespace ddpm_eval::metrics {
namespace {

using PlanePoint = std::array<double, 2>;

constexpr int64_t kPieces = 4096;

double squared(const PlanePoint& p, const PlanePoint& q) {
  const double x = p[0] - q[0], y = p[1] - q[1];
  return x * x + y * y;
}

/// A curve with the ends of its pieces.
class SampledCurve {
 public:
  explicit SampledCurve(const PlaneCurve& curve) : curve_(curve) {
    for (int64_t i = 0; i <= kPieces; ++i) {
      nodes_.push_back(curve(place(i)));
    }
    for (int64_t i = 0; i < kPieces; ++i) {
      longest_ = std::max(longest_, std::sqrt(squared(nodes_[i], nodes_[i + 1])));
    }
  }

  double distance_to(const PlanePoint& point, std::vector<double>& squares) const {
    squares.resize(nodes_.size());
    std::transform(nodes_.begin(), nodes_.end(), squares.begin(),
                   [&](const PlanePoint& node) { return squared(node, point); });
    // Between two ends the curve comes nearer by no more than a piece; two leave room for its bend.
    const double nearest = std::sqrt(*std::min_element(squares.begin(), squares.end()));
    const double limit = (nearest + 2 * longest_) * (nearest + 2 * longest_);
    double best = nearest * nearest;
    for (int64_t i = 0; i <= kPieces; ++i) {
      // Of neighbours that are equally near, as all are from very far away, the first counts.
      const bool lowest =
          (i == 0 || squares[i] < squares[i - 1]) && (i == kPieces || squares[i] <= squares[i + 1]);
      if (lowest && squares[i] <= limit) {
        best = std::min(best, follow(point, place(std::max<int64_t>(i - 1, 0)),
                                     place(std::min<int64_t>(i + 1, kPieces))));
      }
    }
    return std::sqrt(best);
  }

 private:
  static double place(int64_t i) { return static_cast<double>(i) / static_cast<double>(kPieces); }

  /// The smallest squared distance between u = low and high, where there is one valley.
  double follow(const PlanePoint& point, double low, double high) const {
    constexpr double kShare = 1 / std::numbers::phi;
    constexpr int kSteps = 60;  // of 2 / 4096 to the last digit of u
    const auto at = [&](double u) { return squared(curve_(u), point); };
    double left = high - kShare * (high - low), right = low + kShare * (high - low);
    double of_left = at(left), of_right = at(right);
    double best = std::min({at(low), at(high), of_left, of_right});
    for (int step = 0; step < kSteps; ++step) {
      if (of_left < of_right) {
        high = right;
        right = left;
        of_right = of_left;
        left = high - kShare * (high - low);
        of_left = at(left);
        best = std::min(best, of_left);
      } else {
        low = left;
        left = right;
        of_left = of_right;
        right = low + kShare * (high - low);
        of_right = at(right);
        best = std::min(best, of_right);
      }
    }
    return best;
  }

  const PlaneCurve& curve_;
  std::vector<PlanePoint> nodes_;
  double longest_ = 0.0;  ///< the longest straight line between ends of a piece
};

}  // namespace

at::Tensor distances_to_curves(const at::Tensor& points, std::span<const PlaneCurve> curves) {
  tensor::expect(points, at::kFloat, {-1, -1}, "fake points");
  DDPM_CHECK(!curves.empty(), "no curve to measure from");
  if (points.size(1) != 2) {
    throw core::DataError("a curve in the plane takes points of 2 coordinates, not {}", points.size(1));
  }
  detail::check_points(points, "fake");
  const std::vector<SampledCurve> sampled(curves.begin(), curves.end());
  const auto rows = points.contiguous();
  const auto distances = torch::full({rows.size(0)}, std::numeric_limits<double>::infinity(), at::kDouble);
  const auto* values = rows.data_ptr<float>();
  auto* out = distances.data_ptr<double>();
  constexpr int64_t kGrain = 16;
  at::parallel_for(0, rows.size(0), kGrain, [&](int64_t begin, int64_t end) {
    std::vector<double> squares;
    for (int64_t i = begin; i < end; ++i) {
      for (const auto& curve : sampled) {
        out[i] = std::min(out[i], curve.distance_to({values[2 * i], values[2 * i + 1]}, squares));
      }
    }
  });
  return distances;
}

OffManifold off_manifold(const at::Tensor& points, std::span<const PlaneCurve> curves) {
  const auto distances = distances_to_curves(points, curves);
  if (distances.size(0) == 0) {
    throw core::DataError("there are no points whose distance could be taken");
  }
  const auto* first = distances.data_ptr<double>();
  std::vector<double> values(first, first + distances.size(0));
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  return {sum / static_cast<double>(values.size()), core::quantile(values, 0.95)};
}

}  // namespace ddpm_eval::metrics
