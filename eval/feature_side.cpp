#include "eval/feature_side.h"

#include "base/core/error.h"
#include "base/data/feature_file.h"
#include "base/data/source_spec.h"
#include "eval/comparability.h"
#include "eval/console.h"
#include "eval/side_notes.h"

#include <fmt/format.h>

namespace ddpm_eval::eval {

bool is_features(const std::string& source) {
  return data::parse_source(source).kind == data::SourceKind::kFeatures;
}

Side read_feature_side(const SideRequest& request) {
  if (request.spatial) {
    throw core::UsageError(
        "--{} {}: holds features of one kind, and sfid needs the spatial ones beside them; give the images, "
        "or score files of `stats --features inception:spatial` with fid",
        request.role, request.source);
  }
  const auto spec = data::parse_source(request.source);
  auto matrix = data::read_features(spec.path, spec.subset);
  const int64_t count = matrix.rows.size(0);
  if (count < 2) {
    throw core::DataError("{} source {}: 1 row of features, at least 2 are needed for a covariance",
                          request.role, request.source);
  }
  Side side;
  side.moments = metrics::moments_of(matrix.rows);
  side.features = std::move(matrix.rows);
  side.record = {{"source", request.source},
                 {"kind", "features"},
                 {"count", count},
                 {"dim", side.features.size(1)},
                 {"notes", Json::array()}};
  if (matrix.rounded) {
    const auto note = fmt::format("the float64 features of {} were rounded to float32", request.source);
    print_note(request.role + ": " + note);
    side.record["notes"].push_back(note);
  }
  if (!matrix.provenance_json.empty()) {
    side.provenance = Json::parse(matrix.provenance_json);
    // Of a part nobody knows.
    if (const auto lossy = told_lossy(side.provenance);
        lossy && core::has_integer(side.provenance, "count") && side.provenance["count"] == count) {
      side.record["lossy"] = *lossy;
    }
  }
  return side;
}

bool are_of_unknown_net(const Side& side) {
  return text_field(side.record, "kind") == "features" && side.provenance.is_null();
}

}  // namespace ddpm_eval::eval
