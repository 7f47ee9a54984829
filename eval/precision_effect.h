#pragma once

#include "base/core/record.h"
#include "metrics/extract.h"
#include "metrics/frechet.h"

#include <nlohmann/json.hpp>

// What a rounded feature network changes, measured on the first images of a side while it is scored.
namespace ddpm_eval::eval {

/// So many images of a side go through the network in float32 as well.
inline constexpr int64_t kControlImages = 32;

/// Outputs for the same images, on the device of the network.
struct PrecisionControl {
  metrics::NetOutput rounded;
  metrics::NetOutput exact;

  int64_t count() const { return rounded.features.defined() ? rounded.features.size(0) : 0; }
};

/// How the score beside it is computed.
struct EffectOptions {
  metrics::SqrtMethod sqrt = metrics::SqrtMethod::kSymmetric;
  bool inception_score = false;
};

/// Keeps of the outputs that come in order what is wanted of them in `kept`, which must outlive it.
metrics::OutputConsumer control_consumer(metrics::NetOutput& kept);

/// "images" and "feature_error" (root mean square, relative to the features') of all that is there, and in
/// both precisions "frechet_distance" between the sides, with two images on either, and "inception_score" of
/// the fake side's images in one split. They tell how far rounding moves a score of so few images, and are no
/// estimate of the score itself. `real` may be null. One side at least has images.
core::Json precision_effect(const PrecisionControl* real, const PrecisionControl& fake,
                            const EffectOptions& options);

/// The same in a sentence.
std::string describe_precision_effect(const core::Json& effect);

}  // namespace ddpm_eval::eval
