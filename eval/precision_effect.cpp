#include "eval/precision_effect.h"

#include "base/core/error.h"
#include "metrics/inception_score.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

void append(at::Tensor& rows, const at::Tensor& more) {
  rows = rows.defined() ? torch::cat({rows, more}) : more.clone();
}

/// {rounded, float32} of a score.
template <class Score>
core::Json in_both(const Score& score) {
  return {{"rounded", score(&PrecisionControl::rounded)}, {"float32", score(&PrecisionControl::exact)}};
}

}  // namespace

metrics::OutputConsumer control_consumer(metrics::NetOutput& kept) {
  return [&kept](const metrics::NetOutput& output) {
    const int64_t there = kept.features.defined() ? kept.features.size(0) : 0;
    const int64_t wanted = std::min(output.features.size(0), kControlImages - there);
    if (wanted <= 0) {
      return;
    }
    append(kept.features, output.features.narrow(0, 0, wanted));
    if (output.logits.defined()) {
      append(kept.logits, output.logits.narrow(0, 0, wanted));
    }
  };
}

core::Json precision_effect(const PrecisionControl* real, const PrecisionControl& fake,
                            const EffectOptions& options) {
  double error = 0, size = 0;
  core::Json images = core::Json::object();
  const auto add = [&](const char* role, const PrecisionControl& control) {
    if (control.count() > 0) {
      images[role] = control.count();
      const auto& exact = control.exact.features;
      error += (control.rounded.features - exact).square().sum(torch::kFloat64).item<double>();
      size += exact.square().sum(torch::kFloat64).item<double>();
    }
  };
  if (real != nullptr) {
    add("real", *real);
  }
  add("fake", fake);
  DDPM_CHECK(!images.empty(), "no images in either precision");
  core::Json effect = {{"images", images}, {"feature_error", size > 0 ? std::sqrt(error / size) : 0.0}};
  if (real != nullptr && real->count() >= 2 && fake.count() >= 2) {
    effect["frechet_distance"] = in_both([&](auto precision) {
      return metrics::frechet_distance(metrics::moments_of((real->*precision).features),
                                       metrics::moments_of((fake.*precision).features), options.sqrt)
          .distance;
    });
  }
  if (options.inception_score && fake.count() >= 1) {
    effect["inception_score"] = in_both([&](auto precision) {
      return metrics::inception_score((fake.*precision).logits.cpu(),
                                      {.splits = 1, .shuffle_seed = std::nullopt})
          .mean;
    });
  }
  return effect;
}

std::string describe_precision_effect(const core::Json& effect) {
  std::string text = fmt::format("bf16: the features of the first images differ from float32's by {:.2g} %",
                                 100 * effect.at("feature_error").get<double>());
  const auto& images = effect.at("images");
  const auto add = [&](const char* key, const std::string& what) {
    if (effect.contains(key)) {
      const double rounded = effect[key]["rounded"].get<double>(),
                   exact = effect[key]["float32"].get<double>();
      text += fmt::format("; {} is {:.6g}, in float32 {:.6g} ({:+.2g} %)", what, rounded, exact,
                          exact != 0 ? 100 * (rounded - exact) / exact : 0.0);
    }
  };
  if (images.contains("real") && images.contains("fake")) {
    add("frechet_distance", fmt::format("the Frechet distance of {} real and {} fake ones",
                                        images["real"].get<int64_t>(), images["fake"].get<int64_t>()));
  }
  add("inception_score", "the score of the fake ones in one split");
  return text;
}

}  // namespace ddpm_eval::eval
