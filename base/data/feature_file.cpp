#include "base/data/feature_file.h"

#include "base/core/error.h"
#include "base/core/json.h"
#include "base/data/npy.h"
#include "base/data/npz.h"
#include "base/data/safetensors.h"
#include "base/tensor/shape.h"

#include <array>
#include <cmath>
#include <map>
#include <optional>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

using core::DataError;

constexpr const char* kFeatures = "features";
constexpr const char* kFeaturesDigest = "content_sha256";
constexpr int64_t kPlane = 2;  ///< columns of points

bool is_safetensors(const std::filesystem::path& path) { return path.extension() == ".safetensors"; }

/// The array of an .npz that holds features, if one does. Images in `arr_0` stay images, whatever is beside
/// them.
std::optional<std::string> feature_key(const NpzReader& archive) {
  const auto is_matrix = [&](const std::string& name) {
    const auto stream = archive.open(name);
    return read_npy_header(*stream).shape.size() == 2;
  };
  const bool has_first = archive.contains("arr_0");
  if (has_first && !is_matrix("arr_0")) {
    return std::nullopt;
  }
  for (const char* key : {"reps", "feats", kFeatures}) {
    if (archive.contains(key)) {
      return key;
    }
  }
  if (has_first) {
    return "arr_0";
  }
  const auto& names = archive.names();
  return names.size() == 1 && is_matrix(names.front()) ? std::optional(names.front()) : std::nullopt;
}

/// What a file says beside its matrix.
struct Contents {
  std::string array;  ///< the file and the array's name
  at::Tensor matrix;
  std::string provenance;
};

std::string digest_of(const at::Tensor& matrix, const std::string& provenance) {
  return content_sha256({{kFeatures, matrix}}, std::array{provenance});
}

Contents read_of_safetensors(const std::filesystem::path& path) {
  auto file = read_safetensors(path);
  auto matrix = tensor::find(file.tensors, kFeatures);
  if (!matrix.defined() && file.tensors.size() == 1) {
    matrix = file.tensors.front().tensor;
  }
  if (!matrix.defined()) {
    throw DataError("{}: has {} tensors and none of them is called '{}': this is no file of features",
                    path.string(), file.tensors.size(), kFeatures);
  }
  auto provenance = file.metadata[kProvenanceMember];
  if (!provenance.empty() && file.metadata[kFeaturesDigest] != digest_of(matrix, provenance)) {
    throw DataError(
        "{}: its {} is not of these features: the file has been changed; make the features anew, or write "
        "them without it",
        path.string(), kProvenanceMember);
  }
  return {path.string(), std::move(matrix), std::move(provenance)};
}

Contents read_contents(const std::filesystem::path& path) {
  if (is_safetensors(path)) {
    return read_of_safetensors(path);
  }
  if (path.extension() == ".npy") {
    FileStream stream(path);
    return {path.string(), read_npy(stream), {}};
  }
  const NpzReader archive(path);
  const auto key = feature_key(archive);
  if (!key) {
    throw DataError("{}: holds no features: 'reps', 'feats' or 'features', or one array [n, d]",
                    path.string());
  }
  return {fmt::format("{}: {}", path.string(), *key), archive.read(*key),
          archive.read_text(kProvenanceMember)};
}

/// Throws DataError for the first value that is not finite.
void require_finite(const at::Tensor& rows, const at::Tensor& original, const std::string& array) {
  const auto bad = rows.isfinite().logical_not_();
  if (!bad.any().item<bool>()) {
    return;
  }
  const int64_t at = bad.flatten().to(at::kByte).argmax().item<int64_t>();
  const int64_t row = at / rows.size(1), column = at % rows.size(1);
  const auto value = original[row][column].item<double>();
  throw DataError("{}: holds {} in row {}, column {}, which {}; make the features anew", array, value, row,
                  column, std::isfinite(value) ? "float32 cannot hold" : "no distance is defined for");
}

FeatureMatrix checked(const Contents& contents) {
  const auto& matrix = contents.matrix;
  if (!matrix.is_floating_point()) {
    throw DataError(
        "{}: holds {}, where features are float16, float32 or float64 [n, d] and images uint8 "
        "[N, H, W, 3]; save it as one of them",
        contents.array, tensor::describe(matrix));
  }
  if (matrix.dim() != 2 || matrix.size(1) == 0) {
    throw DataError("{}: holds {}, where features are [n, d], a row for each image; reshape and save again",
                    contents.array, tensor::describe(matrix));
  }
  if (matrix.size(1) > kMostFeatures) {
    throw DataError(
        "{}: has {} features in a row, above {}: their covariance would not fit; are rows and columns "
        "exchanged?",
        contents.array, matrix.size(1), kMostFeatures);
  }
  FeatureMatrix features;
  features.rows = matrix.to(at::kFloat).contiguous();
  if (matrix.size(0) > 0) {
    require_finite(features.rows, matrix, contents.array);
  }
  features.rounded = matrix.scalar_type() == at::kDouble && !at::equal(features.rows.to(at::kDouble), matrix);
  return features;
}

}  // namespace

bool is_feature_file(const std::filesystem::path& path) {
  if (is_safetensors(path)) {
    return true;
  }
  try {
    if (path.extension() == ".npy") {
      FileStream stream(path);
      const auto shape = read_npy_header(stream).shape;
      return shape.size() == 1 || (shape.size() == 2 && shape[1] != kPlane);
    }
    return path.extension() == ".npz" && feature_key(NpzReader(path)).has_value();
  } catch (const DataError&) {
    return false;
  }
}

FeatureMatrix read_features(const std::filesystem::path& path, const Subset& subset) {
  const auto contents = read_contents(path);
  auto features = checked(contents);
  if (!contents.provenance.empty()) {
    check_provenance(contents.provenance, features.rows.size(1), {path.string(), kFeatures, "its rows"});
    const auto json = core::parse_json(contents.provenance, core::kMaxEmbeddedJsonDepth);
    if (json.contains("count") && json["count"] != features.rows.size(0)) {
      throw DataError("{}: has {} rows, and its {} says {}: the file is damaged; make the features anew",
                      path.string(), features.rows.size(0), kProvenanceMember, json["count"].dump());
    }
    features.provenance_json = contents.provenance;
  }
  features.rows = take_subset(features.rows, subset, path.string());
  return features;
}

void write_features(const std::filesystem::path& target, const at::Tensor& rows,
                    const std::string& provenance_json) {
  tensor::expect(rows, at::kFloat, {-1, -1}, "features");
  std::map<std::string, std::string> metadata;
  if (!provenance_json.empty()) {
    metadata = {{kProvenanceMember, provenance_json}, {kFeaturesDigest, digest_of(rows, provenance_json)}};
  }
  write_safetensors(target, {{kFeatures, rows}}, metadata);
}

}  // namespace ddpm_eval::data
