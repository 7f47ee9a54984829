#pragma once

#include <string>

namespace ddpm_eval::eval {

/// Which scores of images are asked for.
struct WantedScores {
  bool frechet = false;                ///< FID
  bool spatial_frechet = false;        ///< sFID, of the FID Inception's spatial features
  bool inception_score = false;        ///< IS
  bool kernel = false;                 ///< KID
  bool neighbours = false;             ///< precision and recall, density and coverage
  bool frechet_infinity = false;       ///< FID of infinitely many images
  bool score_infinity = false;         ///< IS of infinitely many images
  bool sliced = false;                 ///< sliced Wasserstein distance of features
  bool monge = false;                  ///< MIND: the same, as torch-fidelity draws and scales it
  bool vendi = false;                  ///< Vendi score of the fake side
  bool memorization_informed = false;  ///< MiFID

  /// Whether images of both sides are compared one by one: their moments do not do.
  bool images() const { return kernel || neighbours || sliced || monge || memorization_informed; }
  /// Whether the fake side's are looked at one by one.
  bool fake_images() const { return images() || vendi || frechet_infinity; }
  /// Whether class probabilities are needed.
  bool classes() const { return inception_score || score_infinity; }
  /// Whether there must be a reference.
  bool pairs() const { return frechet || spatial_frechet || frechet_infinity || images(); }
};

/// "fid,kid" as `score --metrics` takes it: names from fid, sfid, is, kid, prdc, fid-infinity,
/// is-infinity, sliced-wasserstein, mind, mifid and vendi.
/// Throws UsageError for others, with the nearest one, and for an empty list.
WantedScores parse_wanted_scores(const std::string& list);

}  // namespace ddpm_eval::eval
