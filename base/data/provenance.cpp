#include "base/data/provenance.h"

#include "base/core/error.h"
#include "base/core/json.h"
#include "base/core/record.h"

#include <nlohmann/json.hpp>

namespace ddpm_eval::data {

using core::DataError;

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
}

}  // namespace ddpm_eval::data
