#include "base/data/points.h"

#include "base/core/error.h"
#include "base/core/text.h"
#include "base/tensor/noise.h"

#include <cmath>
#include <numbers>

#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

constexpr double kPi = std::numbers::pi;

struct Point {
  double x = 0;
  double y = 0;
};

/// A noise-free point from u, uniform on [0, 1), and a choice among the kind's parts.
using Place = Point (*)(double u, int64_t choice);

Point on_swiss_roll(double u, int64_t) {
  const double t = 1.5 * kPi * (1 + 2 * u);
  return {t * std::cos(t) / 10, t * std::sin(t) / 10};
}

Point on_eight_centres(double, int64_t choice) {
  const double angle = static_cast<double>(choice) * kPi / 4;
  return {std::numbers::sqrt2 * std::cos(angle), std::numbers::sqrt2 * std::sin(angle)};
}

Point on_moons(double u, int64_t choice) {
  const double angle = kPi * u;
  return choice == 0 ? Point{std::cos(angle), std::sin(angle)}
                     : Point{1 - std::cos(angle), 0.5 - std::sin(angle)};
}

struct PointKind {
  std::string name;
  Place place;
  int64_t choices;
  double noise;
  bool curved;  ///< whether each choice is a curve, along which u runs
};

const std::vector<PointKind>& kinds() {
  static const std::vector<PointKind> kPointKinds{{"swiss-roll", on_swiss_roll, 1, 0.05, true},
                                                  {"8-gaussians", on_eight_centres, 8, 0.1, false},
                                                  {"moons", on_moons, 2, 0.1, true}};
  return kPointKinds;
}

const PointKind& find_kind(const std::string& name) {
  const auto kind =
      std::find_if(kinds().begin(), kinds().end(), [&](const PointKind& k) { return k.name == name; });
  if (kind == kinds().end()) {
    throw core::UsageError("unknown points '{}'{}; there are {}", name,
                           core::did_you_mean(name, point_kinds()), core::join_or(point_kinds()));
  }
  return *kind;
}

}  // namespace

const std::vector<std::string>& point_kinds() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    for (const auto& kind : kinds()) {
      names.push_back(kind.name);
    }
    return names;
  }();
  return kNames;
}

at::Tensor make_points(const std::string& name, int64_t first, int64_t count, uint64_t seed) {
  const auto& kind = find_kind(name);
  DDPM_CHECK(first >= 0 && count >= 0, "points {} + {}", first, count);
  const auto indices = tensor::index_range(first, first + count);
  const std::string purpose = "points." + name;
  const at::Tensor u = tensor::uniform_rows({seed, purpose + ".position"}, indices, 0, {1});
  const at::Tensor noise = tensor::normal_rows({seed, purpose + ".noise"}, indices, 0, {2});
  const at::Tensor choice = tensor::integers({seed, purpose + ".choice"}, indices, 0, kind.choices);
  at::Tensor points = torch::empty({count, 2}, torch::kFloat32);
  auto* out = points.data_ptr<float>();
  const auto* shift = noise.data_ptr<float>();
  for (int64_t i = 0; i < count; ++i) {
    const Point centre = kind.place(u.data_ptr<float>()[i], choice.data_ptr<int64_t>()[i]);
    out[2 * i] = static_cast<float>(centre.x + kind.noise * shift[2 * i]);
    out[2 * i + 1] = static_cast<float>(centre.y + kind.noise * shift[2 * i + 1]);
  }
  return points;
}

std::vector<std::function<std::array<double, 2>(double u)>> noiseless_curves(const std::string& name) {
  const auto& kind = find_kind(name);
  std::vector<std::function<std::array<double, 2>(double u)>> curves;
  for (int64_t choice = 0; kind.curved && choice < kind.choices; ++choice) {
    curves.emplace_back([place = kind.place, choice](double u) {
      const Point point = place(u, choice);
      return std::array{point.x, point.y};
    });
  }
  return curves;
}

}  // namespace ddpm_eval::data
