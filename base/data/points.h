#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace ddpm_eval::data {

/// "swiss-roll", "8-gaussians", "moons".
const std::vector<std::string>& point_kinds();

/// Points first ... first + count - 1 of an endless set in the plane, float32 [count, 2]. Point i is a
/// function of (kind, seed, i) alone. Throws UsageError for an unknown kind.
///
/// swiss-roll: scikit-learn's make_swiss_roll with noise 0.5, coordinates 0 and 2, divided by 10: with u
/// uniform on [0, 1), t = 1.5 pi (1 + 2u), the point is (t cos t, t sin t) / 10 plus normal noise of standard
/// deviation 0.05. Mean (0.2, 0.0212), standard deviation (0.664, 0.697).
///
/// 8-gaussians: equal parts of eight normal distributions of standard deviation 0.1, centred on a circle of
/// radius sqrt(2) at multiples of 45 degrees. Mean 0, variance 1.01 a coordinate.
///
/// moons: scikit-learn's make_moons with noise 0.1: with a uniform on [0, pi), (cos a, sin a) or, every other
/// point on average, (1 - cos a, 0.5 - sin a), plus normal noise of standard deviation 0.1.
at::Tensor make_points(const std::string& kind, int64_t first, int64_t count, uint64_t seed);

/// The curves that the points lie on before noise is added, each its point at u from 0 to 1: one of the
/// swiss-roll, (t cos t, t sin t) / 10 with t from 1.5 pi to 4.5 pi, and two of the moons. Empty for
/// 8-gaussians, whose points lie around points. Throws UsageError for an unknown kind.
std::vector<std::function<std::array<double, 2>(double u)>> noiseless_curves(const std::string& kind);

}  // namespace ddpm_eval::data
