#include "base/data/statistics_file.h"

#include "base/core/error.h"
#include "base/core/json.h"
#include "base/core/record.h"
#include "base/data/npz.h"
#include "base/tensor/shape.h"
#include "base/tensor/symmetry.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

using core::DataError;
using core::Json;

constexpr auto kProvenance = "provenance.json";
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

void check_keys(const NpzReader& archive, const std::string& mu, const std::string& sigma,
                const std::string& origin) {
  for (const auto& key : {mu, sigma}) {
    if (!archive.contains(key)) {
      throw DataError(
          "{}: statistics need '{}' and '{}'; '{}' is missing, it holds {}", origin, mu, sigma, key,
          archive.names().empty() ? "nothing" : fmt::format("{}", fmt::join(archive.names(), ", ")));
    }
  }
}

bool is_count(const Json& value) {
  return value.is_number_integer() && value.get<double>() >= 2 &&
         value.get<double>() <= static_cast<double>(kMostCounted);
}

bool is_sha256(const Json& value) {
  constexpr size_t kDigits = 64;
  return value.is_string() && value.get_ref<const std::string&>().size() == kDigits &&
         value.get_ref<const std::string&>().find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// Of statistics that were merged: the measurements they are of, each once, with as many images as all have.
/// Calls `require` as check_provenance() has it.
template <class Require>
void check_parts(const Json& provenance, const Require& require) {
  const auto& parts = provenance["parts"];
  require(parts.is_array() && parts.size() >= 2, "has parts that are no list of two or more");
  std::set<std::string> means;
  int64_t images = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto& part = parts[i];
    const auto has = [&](const char* key) { return part.is_object() && part.contains(key); };
    require(has("file") && part["file"].is_string(), fmt::format("does not say which file parts[{}] is", i));
    require(has("count") && is_count(part["count"]),
            fmt::format("has a count in parts[{}] that is no number of images", i));
    require(has("mu_sha256") && is_sha256(part["mu_sha256"]),
            fmt::format("has no mu_sha256, 64 hexadecimal digits, in parts[{}]", i));
    require(means.insert(part["mu_sha256"].get<std::string>()).second,
            fmt::format("has the measurement of parts[{}] twice", i));
    images = std::min(images + part["count"].get<int64_t>(), kMostCounted + 1);
  }
  require(provenance.contains("count") && provenance["count"] == images,
          fmt::format("has parts of {} images together, which is not its count", images));
}

/// Damaged provenance must not pass for none, which would switch off the comparison of features.
void check_provenance(const std::string& text, int64_t dim, const std::string& origin) {
  const auto require = [&](bool good, std::string_view fault) {
    if (!good) {
      throw DataError("{}: its {} {}: the file is damaged; make the statistics anew", origin, kProvenance,
                      fault);
    }
  };
  const auto json = core::parse_json(text, core::kMaxEmbeddedJsonDepth);
  require(json.is_object(), "is no JSON object");
  if (json.contains("schema")) {
    require(core::has_integer(json, "schema"), "has a schema that is no whole number");
    if (const auto schema = json["schema"].get<int64_t>();
        schema > core::kRecordSchema) {  // as read_record()
      throw DataError("{}: written by a newer ddpm-eval (schema {}, this one reads {})", origin, schema,
                      core::kRecordSchema);
    }
  }
  require(json.contains("features") && json["features"].is_object(), "does not say which features were used");
  const auto& features = json["features"];
  for (const char* key : {"name", "weights_sha256", "preset"}) {
    require(!features.contains(key) || features[key].is_string(),
            fmt::format("has a {} that is no text", key));
  }
  require(features.contains("name"), "does not name the features");
  require(!features.contains("dim") || features["dim"] == dim,
          fmt::format("speaks of other features than the {} of mu", dim));
  if (json.contains("parts")) {
    check_parts(json, require);
  }
  if (!json.contains("count")) {
    return;
  }
  const auto& count = json["count"];
  require(count.is_number_integer() && count.get<int64_t>() > 0, "has a count that is no positive number");
  require(count.get<int64_t>() <= kMostCounted,
          fmt::format("has a count of {}, beyond {}", count.get<int64_t>(), kMostCounted));
  if (count.get<int64_t>() == 1) {
    throw DataError("{}: is of 1 image, which has no covariance; make the statistics of two or more", origin);
  }
}

bool has_spatial(const NpzReader& archive) { return archive.contains("mu_s") || archive.contains("sigma_s"); }

}  // namespace

bool holds_spatial_statistics(const std::filesystem::path& path) { return has_spatial(NpzReader(path)); }

bool is_statistics_file(const std::filesystem::path& path) {
  try {
    const NpzReader archive(path);
    const bool mu = archive.contains("mu"), sigma = archive.contains("sigma");
    return archive.contains("arr_0") ? mu && sigma : mu || sigma;
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
  if (!beside && archive.has_member(kProvenance)) {
    statistics.provenance_json = archive.read_text(kProvenance);
    check_provenance(statistics.provenance_json, mu_shape[0], statistics.name);
  }
  return statistics;
}

std::string read_provenance(const std::filesystem::path& path) {
  const NpzReader archive(path);
  return archive.has_member(kProvenance) ? archive.read_text(kProvenance) : std::string();
}

void write_statistics(const std::filesystem::path& target, const Statistics& statistics,
                      const std::optional<SpatialStatistics>& spatial) {
  tensor::expect(statistics.mu, at::kDouble, {-1}, "mu");
  tensor::expect(statistics.sigma, at::kDouble, {statistics.mu.size(0), statistics.mu.size(0)}, "sigma");
  std::vector<TextMember> texts;
  if (!statistics.provenance_json.empty()) {
    texts.push_back({kProvenance, statistics.provenance_json});
  }
  tensor::NamedTensors arrays{{"mu", statistics.mu}, {"sigma", statistics.sigma}};
  if (spatial) {
    tensor::expect(spatial->mu, at::kDouble, {-1}, "mu_s");
    tensor::expect(spatial->sigma, at::kDouble, {spatial->mu.size(0), spatial->mu.size(0)}, "sigma_s");
    arrays.push_back({"mu_s", spatial->mu});
    arrays.push_back({"sigma_s", spatial->sigma});
  }
  write_npz(target, arrays, texts);
}

}  // namespace ddpm_eval::data
