#pragma once

#include <string>

namespace ddpm_eval::eval {

/// Which scores of images are asked for.
struct WantedScores {
  bool frechet = false;          ///< FID
  bool inception_score = false;  ///< IS
  bool kernel = false;           ///< KID
  bool neighbours = false;       ///< precision and recall, density and coverage

  /// Whether the features of every image are needed, not their moments alone.
  bool features() const { return kernel || neighbours; }
  /// Whether there must be a reference.
  bool pairs() const { return frechet || features(); }
};

/// "fid,kid" as `score --metrics` takes it: names from fid, is, kid and prdc. Throws UsageError for others,
/// with the nearest one, and for an empty list.
WantedScores parse_wanted_scores(const std::string& list);

}  // namespace ddpm_eval::eval
