#include "eval/comparability.h"

#include "base/core/error.h"
#include "metrics/inception_layout.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

/// Whether the features are said to be of `layer` or, where nothing is said, have as many columns.
bool are_of(metrics::InceptionLayer layer, const Json& features, int64_t dim) {
  const auto& info = metrics::layer_info(layer);
  return features.is_object() ? text_field(features, "name") == info.name : dim == info.dim;
}

}  // namespace

std::string text_field(const Json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Json provenance_features(const Side& side) {
  return side.provenance.is_null() ? Json() : side.provenance.at("features");
}

bool uses_fid_inception(const Json& features, int64_t dim) {
  return are_of(metrics::InceptionLayer::kPool3, features, dim);
}

std::string frechet_key(const Json& features, int64_t dim) {
  if (uses_fid_inception(features, dim)) {
    return "frechet_inception_distance";
  }
  return are_of(metrics::InceptionLayer::kSpatial, features, dim) ? "spatial_frechet_inception_distance"
                                                                  : "frechet_distance";
}

std::string inception_score_key(bool is_fid_inception) {
  return is_fid_inception ? "inception_score" : "classifier_score";
}

std::vector<std::string> feature_differences(const Json& features, const Json& of_other, std::string_view one,
                                             std::string_view other) {
  const auto field = [](const Json& object, const char* key) {
    if (std::string_view(key) == "convention") {
      return object.is_object() && object.contains(key) ? object[key].dump() : std::string("none");
    }
    const auto text = text_field(object, key);
    return std::string_view(key) == "precision" && text.empty() ? std::string("float32") : text;
  };
  std::vector<std::string> differences;
  for (const char* key : {"name", "weights_sha256", "preset", "convention", "precision"}) {
    if (const auto first = field(features, key), second = field(of_other, key); first != second) {
      differences.push_back(
          fmt::format("{} of the features differs: {} {}, {} {}", key, one, first, other, second));
    }
  }
  return differences;
}

void require_same_features(const Json& real, const Json& fake, bool allow_mismatch, Json& notes) {
  if (real.is_null() || fake.is_null()) {
    notes.push_back(
        "a file of statistics or features does not say which network it was made with: both sides are taken "
        "to be of the same");
    return;
  }
  for (const auto& difference : feature_differences(real, fake, "real", "fake")) {
    if (!allow_mismatch) {
      throw core::NotComparableError("{}; --allow-mismatch compares them all the same", difference);
    }
    notes.push_back(difference);
  }
}

}  // namespace ddpm_eval::eval
