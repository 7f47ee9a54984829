#pragma once

#include "metrics/point_distances.h"

#include <cstdint>
#include <optional>
#include <string>

#include <ATen/core/Tensor.h>

// The squared maximum mean discrepancy (MMD) of two sets under a kernel (Gretton et al. 2012), of which the
// Kernel Inception Distance (KID, Binkowski et al. 2018) is the case of Inception features and the cubic
// polynomial kernel.
namespace ddpm_eval::metrics {

struct Kernel {
  enum class Kind {
    kPolynomial,  ///< (gamma <x, y> + coef)^degree
    kRbf,         ///< exp(-|x - y|^2 / (2 sigma^2))
  };
  Kind kind = Kind::kPolynomial;
  int64_t degree = 3;           ///< 1 to 16
  std::optional<double> gamma;  ///< none: 1 / d
  double coef = 1.0;
  double sigma = 10.0;  ///< above 0

  friend bool operator==(const Kernel&, const Kernel&) = default;
};

/// As a formula: "(<x, y> / d + 1)^3".
std::string describe(const Kernel& kernel);

/// Throws UsageError unless the numbers of the kernel's kind are finite and in their ranges, and gamma is not
/// 0.
void check_kernel(const Kernel& kernel);

/// An estimate from all pairs of images.
struct KernelEstimate {
  /// Mean k(x, x') + mean k(y, y') - 2 mean k(x, y) over pairs of different images: unbiased, so it may be
  /// negative.
  double value = 0.0;
  /// Of `value`: the root of the two parts below, a negative one counting as 0. None below 4 images on a
  /// side.
  std::optional<double> standard_error;
  /// The parts of the variance of `value`, estimated without bias and so possibly below 0: what each image
  /// adds on its own, which falls as 1/n and vanishes where the distributions are equal, and what pairs add,
  /// which falls as 1/n^2. If the distributions are equal, the root of the second part alone is the
  /// deviation.
  double variance_of_images = 0.0;
  double variance_of_pairs = 0.0;
};

/// The unbiased estimate from all n (n - 1) + m (m - 1) + n m pairs with its standard error. `real` is
/// float32 [n, d], `fake` float32 [m, d], on the CPU; n and m may differ.
///
/// The variance is that of the Hoeffding decomposition, exactly and for n != m: with a(x) = E k(x, X'), b(x)
/// = E k(x, Y), c(y) = E k(y, Y'), e(y) = E k(X, y) it is
///
///   4 Var[a(X) - b(X)] / n + 4 Var[c(Y) - e(Y)] / m                            (of images)
///   + 2 V_xx / (n (n - 1)) + 2 V_yy / (m (m - 1)) + 4 V_xy / (n m)             (of pairs)
///
/// where V_xx = Var k(X, X') - 2 Var a(X), V_yy alike and V_xy = Var k(X, Y) - Var b(X) - Var e(Y). Every
/// moment in it is replaced by its unbiased estimate over different indices, as Sutherland et al. 2017 do for
/// n = m.
///
/// Features are moved to their common mean, products are float32 (float64 for d up to 64), kernels and sums
/// float64; a polynomial kernel has its value at the mean taken away, which changes nothing but the rounding.
/// Time O((n^2 + m^2) d / 2 + n m d), memory about 150 MB beside the features. The same bits for the same
/// number of threads. Throws UsageError for a kernel that is none, and DataError for fewer than 2 images on a
/// side, differing dimensions, NaN or infinity, and features for which the kernel overflows.
KernelEstimate kernel_estimate(const at::Tensor& real, const at::Tensor& fake, const Kernel& kernel = {},
                               const DistanceProgress& progress = {});

enum class KernelArithmetic {
  /// torch-fidelity's: products, polynomial kernels and their sums in float32, in the order of NumPy 1's
  /// sums; the mean over subsets in float64. Its rounding moves a KID by some 1e-7 of the mean kernel. Other
  /// libraries multiply in another order, which leaves 1e-8 of that to chance. The RBF kernel is float64 but
  /// for products and norms, of whose squared distances none is below 0.
  kFloat32,
  kFloat64,  ///< all in float64, as dgm-eval
};

/// Of subsets, where a tool draws them unseeded.
inline constexpr uint32_t kSubsetSeed = 2020;

/// How a tool computes KID.
struct KernelDistanceRule {
  int64_t subsets = 100;
  int64_t subset_size = 1000;
  /// Take subsets of min(size, n, m) where there are fewer images, as clean-fid, stylegan2-ada and dgm-eval
  /// do; else that is an error, as in torch-fidelity.
  bool shrink = false;
  /// Of NumPy's RandomState, from which each subset takes a permutation of the fake images and then one of
  /// the real ones: torch-fidelity's order, whose first input is the generated one. None: the tool draws
  /// unseeded and there is nothing to repeat; drawn as by kSubsetSeed.
  std::optional<uint32_t> seed = kSubsetSeed;
  KernelArithmetic arithmetic = KernelArithmetic::kFloat32;
  Kernel kernel = {};
  bool all_pairs = true;  ///< also make the estimate from all pairs, which takes most of the time
};

struct KernelDistance {
  double mean = 0.0;  ///< over subsets
  double std = 0.0;   ///< over subsets (ddof 0): how much subsets of this size differ, no error of the mean
  int64_t subsets = 0;
  int64_t subset_size = 0;
  std::optional<KernelEstimate> all_pairs;
};

/// The mean and spread over subsets of the unbiased estimate between equally many real and fake images, each
/// set drawn without repetition; and the estimate from all pairs. Inputs as above. Throws UsageError for less
/// than one subset or subsets of less than 2 images, DataError for fewer images than a subset has, and what
/// kernel_estimate() throws.
KernelDistance kernel_distance(const at::Tensor& real, const at::Tensor& fake,
                               const KernelDistanceRule& rule = {}, const DistanceProgress& progress = {});

}  // namespace ddpm_eval::metrics
