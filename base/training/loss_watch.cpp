#include "base/training/loss_watch.h"

#include "base/core/error.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace ddpm_eval::training {

double LossWatch::median() const {
  if (history_.size() < kHistory) {
    return 0;
  }
  auto sorted = history_;
  const auto middle = sorted.begin() + kHistory / 2;
  std::nth_element(sorted.begin(), middle, sorted.end());
  return *middle;
}

bool LossWatch::diverges(double loss, const LossLimit& limit) {
  DDPM_CHECK(std::isfinite(loss), "the loss is {}", loss);
  if (limit.factor <= 0) {
    return false;
  }
  if (history_.size() == kHistory && loss > limit.factor * median()) {
    return ++steps_above_ >= limit.steps;
  }
  steps_above_ = 0;
  if (history_.size() == kHistory) {
    history_.erase(history_.begin());
  }
  history_.push_back(loss);
  return false;
}

std::string LossWatch::to_json() const {
  return nlohmann::ordered_json({{"losses", history_}, {"steps_above", steps_above_}}).dump();
}

LossWatch LossWatch::from_json(std::string_view text, const std::string& origin) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto damaged = [&] {
    return core::DataError("{}: the losses that the limit of divergence follows are damaged", origin);
  };
  if (!json.is_object() || !json.contains("losses") || !json["losses"].is_array() ||
      json["losses"].size() > kHistory || !json.contains("steps_above") ||
      !json["steps_above"].is_number_unsigned()) {
    throw damaged();
  }
  LossWatch watch;
  for (const auto& loss : json["losses"]) {
    if (!loss.is_number()) {
      throw damaged();
    }
    watch.history_.push_back(loss.get<double>());
  }
  watch.steps_above_ = json["steps_above"].get<int64_t>();
  return watch;
}

}  // namespace ddpm_eval::training
