#include "base/data/statistics_file.h"

#include "base/core/error.h"
#include "base/data/npz.h"
#include "base/tensor/shape.h"
#include "base/tensor/symmetry.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

using core::DataError;

/// Sums of squares of such numbers are finite still.
constexpr double kLargest = 1e150;

at::Tensor read_float(const NpzReader& archive, const std::string& key, const std::string& origin) {
  const at::Tensor tensor = archive.read(key);
  if (tensor.scalar_type() != at::kDouble && tensor.scalar_type() != at::kFloat) {
    throw DataError("{}: '{}' is {}, where float32 or float64 is needed", origin, key,
                    tensor::describe(tensor));
  }
  return tensor.to(torch::kFloat64);
}

void check_finite(const at::Tensor& tensor, const std::string& key, const std::string& origin) {
  const double* values = tensor.data_ptr<double>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    if (!std::isfinite(values[i])) {
      throw DataError("{}: '{}' holds {} at position {}; make the statistics anew", origin, key, values[i],
                      i);
    }
    if (std::abs(values[i]) > kLargest) {
      throw DataError(
          "{}: '{}' holds {} at position {}, of which distances overflow; make the statistics anew", origin,
          key, values[i], i);
    }
  }
}

void check_symmetric(const at::Tensor& sigma, const std::string& key, const std::string& origin) {
  if (const auto found = tensor::measure_asymmetry(sigma); !found.acceptable()) {
    throw DataError(
        "{}: '{}' is not symmetric: entries ({}, {}) and ({}, {}) differ by {:.3g}; it is no covariance",
        origin, key, found.row, found.column, found.column, found.row, found.difference);
  }
}

/// Sums of squares less the square of the mean, as some tools have them, may leave a feature that hardly
/// varies a little below zero.
void check_variances(const at::Tensor& sigma, const std::string& key, const std::string& origin) {
  const auto variances = sigma.diagonal();
  const auto at = variances.argmin().item<int64_t>();
  const auto rounding = tensor::kSymmetryTolerance * variances.max().item<double>();
  if (const auto least = variances[at].item<double>(); least < -std::max(0.0, rounding)) {
    throw DataError("{}: '{}' holds {} at ({}, {}), a negative variance; it is no covariance", origin, key,
                    least, at, at);
  }
}

/// A covariance is no larger than the root of the product of its variances.
void check_covariances(const at::Tensor& sigma, const std::string& key, const std::string& origin) {
  const int64_t dim = sigma.size(0);
  const auto whole = sigma.contiguous();
  const double* values = whole.data_ptr<double>();
  std::vector<double> deviations;
  for (int64_t i = 0; i < dim; ++i) {
    deviations.push_back(std::sqrt(std::max(0.0, values[i * dim + i])));
  }
  const double largest = *std::ranges::max_element(deviations);
  const double rounding = tensor::kSymmetryTolerance * largest * largest;
  for (int64_t i = 0; i < dim; ++i) {
    for (int64_t j = 0; j < i; ++j) {
      const double bound = deviations[static_cast<size_t>(i)] * deviations[static_cast<size_t>(j)] + rounding;
      if (std::abs(values[i * dim + j]) > bound) {
        throw DataError(
            "{}: '{}' holds {} at ({}, {}), more than variances of {} and {} allow; it is no covariance",
            origin, key, values[i * dim + j], i, j, values[i * dim + i], values[j * dim + j]);
      }
    }
  }
}

void check_keys(const NpzReader& archive, const std::string& mu, const std::string& sigma,
                const std::string& origin) {
  for (const auto& key : {mu, sigma}) {
    if (!archive.contains(key)) {
      const bool spatial_alone = archive.contains("mu_s") && archive.contains("sigma_s");
      throw DataError(
          "{}: statistics need '{}' and '{}'; '{}' is missing, it holds {}{}", origin, mu, sigma, key,
          archive.names().empty() ? "nothing" : fmt::format("{}", fmt::join(archive.names(), ", ")),
          spatial_alone
              ? ": statistics of spatial features alone, which fid --features inception:spatial reads"
              : "");
    }
  }
}

bool has_spatial(const NpzReader& archive) { return archive.contains("mu_s") || archive.contains("sigma_s"); }

void add_statistics(ZipWriter& zip, const Statistics& statistics,
                    const std::optional<SpatialStatistics>& spatial) {
  tensor::expect(statistics.mu, at::kDouble, {-1}, "mu");
  tensor::expect(statistics.sigma, at::kDouble, {statistics.mu.size(0), statistics.mu.size(0)}, "sigma");
  add_array(zip, "mu", statistics.mu);
  add_array(zip, "sigma", statistics.sigma);
  if (spatial) {
    tensor::expect(spatial->mu, at::kDouble, {-1}, "mu_s");
    tensor::expect(spatial->sigma, at::kDouble, {spatial->mu.size(0), spatial->mu.size(0)}, "sigma_s");
    add_array(zip, "mu_s", spatial->mu);
    add_array(zip, "sigma_s", spatial->sigma);
  }
  if (!statistics.provenance_json.empty()) {
    zip.add(kProvenanceMember, statistics.provenance_json);
  }
}

}  // namespace

bool holds_spatial_statistics(const std::filesystem::path& path) { return has_spatial(NpzReader(path)); }

bool holds_images_too(const std::filesystem::path& path) {
  try {
    return NpzReader(path).contains("arr_0");
  } catch (const DataError&) {
    return false;
  }
}

bool is_statistics_file(const std::filesystem::path& path) {
  try {
    const NpzReader archive(path);
    const auto has = [&](const char* mu, const char* sigma) {
      const bool one = archive.contains(mu), other = archive.contains(sigma);
      return archive.contains("arr_0") ? one && other : one || other;
    };
    return has("mu", "sigma") || has("mu_s", "sigma_s");
  } catch (const DataError&) {
    return false;
  }
}

Statistics read_statistics(const std::filesystem::path& path, StatisticsPart part) {
  const NpzReader archive(path);
  const bool beside = part == StatisticsPart::kSpatial && has_spatial(archive);
  const std::string mu = beside ? "mu_s" : "mu", sigma = beside ? "sigma_s" : "sigma";
  Statistics statistics;
  statistics.name = path.string();
  check_keys(archive, mu, sigma, statistics.name);
  statistics.mu = read_float(archive, mu, statistics.name);
  statistics.sigma = read_float(archive, sigma, statistics.name);
  const auto mu_shape = statistics.mu.sizes();
  if (statistics.mu.numel() == 0) {
    throw DataError("{}: '{}' of shape {} is empty: these are statistics of no features; make them anew",
                    statistics.name, mu, tensor::describe(mu_shape));
  }
  if (mu_shape.size() != 1) {
    throw DataError("{}: '{}' has shape {}, where [d] is needed", statistics.name, mu,
                    tensor::describe(mu_shape));
  }
  const std::vector<int64_t> square{mu_shape[0], mu_shape[0]};
  if (statistics.sigma.sizes() != at::IntArrayRef(square)) {
    throw DataError("{}: '{}' has shape {}, where '{}' asks for {}", statistics.name, sigma,
                    tensor::describe(statistics.sigma.sizes()), mu, tensor::describe(square));
  }
  check_finite(statistics.mu, mu, statistics.name);
  check_finite(statistics.sigma, sigma, statistics.name);
  check_symmetric(statistics.sigma, sigma, statistics.name);
  check_variances(statistics.sigma, sigma, statistics.name);
  check_covariances(statistics.sigma, sigma, statistics.name);
  if (!beside && archive.has_member(kProvenanceMember)) {
    statistics.provenance_json = archive.read_text(kProvenanceMember);
    check_provenance(statistics.provenance_json, mu_shape[0], {statistics.name, "statistics", "mu"});
  }
  return statistics;
}

std::string read_provenance(const std::filesystem::path& path) {
  const NpzReader archive(path);
  return archive.has_member(kProvenanceMember) ? archive.read_text(kProvenanceMember) : std::string();
}

void write_statistics(const std::filesystem::path& target, const Statistics& statistics,
                      const std::optional<SpatialStatistics>& spatial) {
  ZipWriter zip(target);
  add_statistics(zip, statistics, spatial);
  zip.commit();
}

ReferenceWriter::ReferenceWriter(const std::filesystem::path& target)
    : zip_(target), images_(zip_, target.string()) {}

void ReferenceWriter::finish(const Statistics& statistics, const std::optional<SpatialStatistics>& spatial) {
  images_.end();
  add_statistics(zip_, statistics, spatial);
  zip_.commit();
}

}  // namespace ddpm_eval::data
