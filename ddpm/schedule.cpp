#include "ddpm/schedule.h"

#include "base/core/error.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ddpm_eval::ddpm {
namespace {

constexpr int64_t kMaxSteps = 100'000;

/// As numpy's: the last value is exactly `last`.
std::vector<double> linspace(double first, double last, int64_t count) {
  std::vector<double> values(static_cast<size_t>(count), first);
  for (int64_t i = 1; i < count; ++i) {
    values[static_cast<size_t>(i)] = first + static_cast<double>(i) * ((last - first) / double(count - 1));
  }
  if (count > 1) {
    values.back() = last;
  }
  return values;
}

template <class Map>
std::vector<double> mapped(std::vector<double> values, const Map& map) {
  std::transform(values.begin(), values.end(), values.begin(), map);
  return values;
}

std::vector<double> warm_up(double first, double last, int64_t steps, int64_t warm_steps) {
  std::vector<double> betas(static_cast<size_t>(steps), last);
  const auto ramp = linspace(first, last, warm_steps);
  std::copy(ramp.begin(), ramp.end(), betas.begin());
  return betas;
}

double cosine_alpha_bar(double fraction) {
  const double root = std::cos((fraction + 0.008) / 1.008 * std::numbers::pi / 2);
  return root * root;
}

std::vector<double> cosine(int64_t steps) {
  std::vector<double> betas;
  for (int64_t t = 0; t < steps; ++t) {
    const double here = cosine_alpha_bar(double(t) / double(steps));
    const double next = cosine_alpha_bar(double(t + 1) / double(steps));
    betas.push_back(std::min(1 - next / here, 0.999));
  }
  return betas;
}

std::vector<double> by_kind(const std::string& kind, double first, double last, int64_t steps) {
  if (kind == "linear") {
    return linspace(first, last, steps);
  }
  if (kind == "quad") {
    return mapped(linspace(std::sqrt(first), std::sqrt(last), steps), [](double x) { return x * x; });
  }
  if (kind == "sigmoid") {
    return mapped(linspace(-6, 6, steps),
                  [&](double x) { return (last - first) / (1 + std::exp(-x)) + first; });
  }
  if (kind == "cosine") {
    return cosine(steps);
  }
  if (kind == "const") {
    return std::vector<double>(static_cast<size_t>(steps), last);
  }
  if (kind == "warmup10" || kind == "warmup50") {
    return warm_up(first, last, steps, kind == "warmup10" ? steps / 10 : steps / 2);
  }
  if (kind == "jsd") {
    return mapped(linspace(double(steps), 1, steps), [](double x) { return 1 / x; });
  }
  throw core::UsageError(core::Key{"process.kind"}, "'{}' is not a schedule", kind);
}

}  // namespace

void ScheduleConfig::fields(core::ConfigVisitor& v) {
  v.choice("kind", kind, {"linear", "quad", "sigmoid", "cosine", "const", "warmup10", "warmup50", "jsd"});
  v.value("steps", steps);
  v.value("beta_start", beta_start);
  v.value("beta_end", beta_end);
  v.value("rescale", rescale);
}

std::vector<double> make_betas(const ScheduleConfig& config) {
  if (config.steps < 1 || config.steps > kMaxSteps) {
    throw core::UsageError(core::Key{"process.steps"}, "{} is not within 1..{}", config.steps, kMaxSteps);
  }
  if (!(config.beta_start > 0) || !(config.beta_end >= config.beta_start)) {
    throw core::UsageError(core::Key{"process"}, "needs 0 < beta_start <= beta_end, found {} and {}",
                           config.beta_start, config.beta_end);
  }
  const double factor = config.rescale ? 1000.0 / static_cast<double>(config.steps) : 1.0;
  auto betas = by_kind(config.kind, factor * config.beta_start, factor * config.beta_end, config.steps);
  const double largest = *std::max_element(betas.begin(), betas.end());
  if (!(largest <= 1)) {
    throw core::UsageError(core::Key{"process"},
                           "beta reaches {}, above 1; lower beta_end, or use more steps", largest);
  }
  return betas;
}

}  // namespace ddpm_eval::ddpm
