#pragma once

#include "base/core/record.h"
#include "metrics/extract.h"

#include <optional>

#include <nlohmann/json.hpp>

// What a rounded feature network changes, measured on the first images of a side while it is scored.
namespace ddpm_eval::eval {

/// So many images of a side go through the network in float32 as well.
inline constexpr int64_t kControlImages = 32;

/// Features of the same images, float32 [n, dim].
struct PrecisionControl {
  at::Tensor rounded;
  at::Tensor exact;

  int64_t count() const { return rounded.defined() ? rounded.size(0) : 0; }
};

/// Fills `control` from the batches that extract() shows it. Both must outlive it.
metrics::InputWitness control_witness(const metrics::FeatureNet& exact, PrecisionControl& control);

/// "images", "feature_error" (root mean square, relative to the features') of all that is there, and with two
/// images on either side the Frechet distances between the sides in both precisions; null without images.
/// `real` may be null.
core::Json precision_effect(const PrecisionControl* real, const PrecisionControl& fake);

/// The same in a sentence.
std::string describe_precision_effect(const core::Json& effect);

}  // namespace ddpm_eval::eval
