#pragma once

#include "metrics/neighbours.h"
#include "metrics/uncertainty.h"

namespace ddpm_eval::metrics {

/// Of neighbour_scores(), each over new images of the side that is asked while the other, whose balls are
/// asked about, stays: drawing from a set again makes copies, which shrink its balls, and so what balls
/// scatter by is left out. `at_count` names the estimand.
///
/// Precision and authenticity are shares of independent fake images, recall one of independent real images:
/// binomial deviations, and Wilson's interval (1927), which holds at 0 and 1, too. Density is a mean over
/// fake images. Coverage depends on the fake images together: the jackknife that leaves out one of them at a
/// time, whose variance is on average no smaller than the true one (Efron & Stein 1981). Shares stay within
/// 0 and 1 and densities above 0. Withheld for density and coverage where the deviation found is 0. There are
/// no limits of infinitely many images on both sides: balls shrink as sets grow.
struct NeighbourUncertainty {
  Uncertainty precision;
  Uncertainty recall;
  Uncertainty density;
  Uncertainty coverage;
  Uncertainty authenticity;
};

/// 0 < level < 1.
NeighbourUncertainty neighbour_uncertainty(const NeighbourScores& scores, double level = 0.95);

}  // namespace ddpm_eval::metrics
