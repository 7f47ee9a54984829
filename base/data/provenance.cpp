#include "base/data/provenance.h"

#include "base/core/error.h"
#include "base/core/json.h"
#include "base/core/record.h"

#include <algorithm>
#include <set>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::data {

using core::DataError;
using core::Json;

namespace {

bool is_count(const Json& value) {
  return value.is_number_integer() && value.get<double>() >= 2 &&
         value.get<double>() <= static_cast<double>(kMostCounted);
}

bool is_sha256(const Json& value) {
  constexpr size_t kDigits = 64;
  return value.is_string() && value.get_ref<const std::string&>().size() == kDigits &&
         value.get_ref<const std::string&>().find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// How many images came from lossy files, where it is said: of no more images than there are.
bool has_sound_lossy(const Json& owner) {
  if (!owner.contains("data") || !owner["data"].is_object() || !owner["data"].contains("lossy")) {
    return true;
  }
  const auto& lossy = owner["data"]["lossy"];
  return lossy.is_number_integer() && owner.contains("count") && is_count(owner["count"]) &&
         lossy.get<double>() >= 0 && lossy.get<double>() <= owner["count"].get<double>();
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
    require(has_sound_lossy(part), fmt::format("has more lossy images in parts[{}] than images", i));
    require(means.insert(part["mu_sha256"].get<std::string>()).second,
            fmt::format("has the measurement of parts[{}] twice", i));
    images = std::min(images + part["count"].get<int64_t>(), kMostCounted + 1);
  }
  require(provenance.contains("count") && provenance["count"] == images,
          fmt::format("has parts of {} images together, which is not its count", images));
}

}  // namespace

void check_provenance(const std::string& text, int64_t dim, const ProvenanceOwner& owner) {
  const auto require = [&](bool good, std::string_view fault) {
    if (!good) {
      throw DataError("{}: its {} {}: the file is damaged; make the {} anew", owner.file, kProvenanceMember,
                      fault, owner.what);
    }
  };
  const auto json = core::parse_json(text, core::kMaxEmbeddedJsonDepth);
  require(json.is_object(), "is no JSON object");
  if (json.contains("schema")) {
    require(core::has_integer(json, "schema"), "has a schema that is no whole number");
    if (const auto schema = json["schema"].get<int64_t>();
        schema > core::kRecordSchema) {  // as read_record()
      throw DataError("{}: written by a newer ddpm-eval (schema {}, this one reads {})", owner.file, schema,
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
          fmt::format("speaks of other features than the {} of {}", dim, owner.vector));
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
    throw DataError("{}: is of 1 image, which has no covariance; make the {} of two or more", owner.file,
                    owner.what);
  }
  require(has_sound_lossy(json), "has more lossy images than images");
}

}  // namespace ddpm_eval::data
