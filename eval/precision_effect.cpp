#include "eval/precision_effect.h"

#include "metrics/frechet.h"

#include <fmt/format.h>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

void append(at::Tensor& rows, const at::Tensor& more) {
  rows = rows.defined() ? torch::cat({rows, more}) : more.clone();
}

metrics::Moments moments_of(const at::Tensor& features) {
  metrics::MomentsAccumulator moments(features.size(1));
  moments.add(features);
  return moments.finish();
}

double distance(const at::Tensor& real, const at::Tensor& fake) {
  return metrics::frechet_distance(moments_of(real), moments_of(fake)).distance;
}

}  // namespace

metrics::InputWitness control_witness(const metrics::FeatureNet& exact, PrecisionControl& control) {
  return [&](const at::Tensor& input, int64_t count, const metrics::NetOutput& output) {
    const int64_t wanted = std::min(count, kControlImages - control.count());
    if (wanted > 0) {
      append(control.rounded, output.features.narrow(0, 0, wanted));
      append(control.exact, exact.forward(input).features.narrow(0, 0, wanted));
    }
  };
}

core::Json precision_effect(const PrecisionControl* real, const PrecisionControl& fake) {
  double error = 0, size = 0;
  core::Json images = core::Json::object();
  const auto add = [&](const char* role, const PrecisionControl& control) {
    if (control.count() > 0) {
      images[role] = control.count();
      error += (control.rounded - control.exact).square().sum(torch::kFloat64).item<double>();
      size += control.exact.square().sum(torch::kFloat64).item<double>();
    }
  };
  if (real != nullptr) {
    add("real", *real);
  }
  add("fake", fake);
  if (images.empty()) {
    return {};
  }
  core::Json effect = {{"images", images}, {"feature_error", size > 0 ? std::sqrt(error / size) : 0.0}};
  if (real != nullptr && real->count() >= 2 && fake.count() >= 2) {
    effect["frechet_distance"] = {{"rounded", distance(real->rounded, fake.rounded)},
                                  {"float32", distance(real->exact, fake.exact)}};
  }
  return effect;
}

std::string describe_precision_effect(const core::Json& effect) {
  std::string text = fmt::format("bf16: the features of the first images differ from float32's by {:.2g} %",
                                 100 * effect.at("feature_error").get<double>());
  if (effect.contains("frechet_distance")) {
    const auto& distances = effect["frechet_distance"];
    const double rounded = distances["rounded"].get<double>(), exact = distances["float32"].get<double>();
    text += fmt::format(
        "; the Frechet distance of {} real and {} fake ones is {:.6g}, in float32 {:.6g} ({:+.2g} %)",
        effect["images"]["real"].get<int64_t>(), effect["images"]["fake"].get<int64_t>(), rounded, exact,
        exact != 0 ? 100 * (rounded - exact) / exact : 0.0);
  }
  return text;
}

}  // namespace ddpm_eval::eval
