#include "base/training/loop_config.h"

#include "base/core/error.h"

#include <cmath>
#include <numbers>

namespace ddpm_eval::training {
namespace {

core::Key full_key(std::string_view section, std::string_view key) {
  return {section.empty() ? std::string(key) : fmt::format("{}.{}", section, key)};
}

/// Names keys as the file does.
struct Checker {
  std::string_view section;

  void at_least(std::string_view key, int64_t value, int64_t least) const {
    if (value < least) {
      throw core::UsageError(full_key(section, key), "{} is below {}", value, least);
    }
  }
  void positive(std::string_view key, double value) const {
    if (!(value > 0) || !std::isfinite(value)) {
      throw core::UsageError(full_key(section, key), "{} is not a number above 0", value);
    }
  }
  void not_negative(std::string_view key, double value) const {
    if (!(value >= 0) || !std::isfinite(value)) {
      throw core::UsageError(full_key(section, key), "{} is neither 0 (off) nor a number above", value);
    }
  }
  void below_one(std::string_view key, double value) const {
    if (!(value >= 0 && value < 1)) {
      throw core::UsageError(full_key(section, key), "{} is not within [0, 1)", value);
    }
  }
};

}  // namespace

void LoopConfig::fields(core::ConfigVisitor& v) {
  v.value("steps", steps);
  v.value("learning_rate", learning_rate);
  v.value("warmup_steps", warmup_steps);
  v.choice("lr_schedule", lr_schedule, {"constant", "cosine"});
  v.value("beta1", beta1);
  v.value("beta2", beta2);
  v.value("eps", eps);
  v.value("weight_decay", weight_decay);
  v.value("clip_norm", clip_norm);
  v.value("ema_decay", ema_decay);
  v.value("ema_ramp", ema_ramp);
  v.value("accumulate", accumulate);
  v.value("diverged_factor", diverged_factor);
  v.value("diverged_steps", diverged_steps);
  v.value("log_every", log_every);
  v.value("checkpoint_every", checkpoint_every);
  v.value("time_limit_s", time_limit_s);
}

void LoopConfig::require_divides(int64_t batch_size, std::string_view section) const {
  if (batch_size % accumulate != 0) {
    throw core::UsageError(full_key(section, "accumulate"), "{} does not divide the batch size of {}",
                           accumulate, batch_size);
  }
}

void LoopConfig::validate(std::string_view section) const {
  const Checker check{section};
  check.at_least("steps", steps, 1);
  check.positive("learning_rate", learning_rate);
  check.at_least("warmup_steps", warmup_steps, 0);
  check.below_one("beta1", beta1);
  check.below_one("beta2", beta2);
  check.positive("eps", eps);
  check.not_negative("weight_decay", weight_decay);
  check.not_negative("clip_norm", clip_norm);
  check.below_one("ema_decay", ema_decay);
  check.at_least("accumulate", accumulate, 1);
  check.not_negative("diverged_factor", diverged_factor);
  if (diverged_factor > 0 && diverged_factor <= 1) {
    throw core::UsageError(full_key(section, "diverged_factor"),
                           "{}: half of all losses are above their median; must be 0 (off) or above 1",
                           diverged_factor);
  }
  check.at_least("diverged_steps", diverged_steps, 1);
  check.at_least("log_every", log_every, 0);
  check.at_least("checkpoint_every", checkpoint_every, 0);
  check.not_negative("time_limit_s", time_limit_s);
  if (lr_schedule != "constant" && lr_schedule != "cosine") {
    throw core::UsageError(full_key(section, "lr_schedule"), "'{}' is neither constant nor cosine",
                           lr_schedule);
  }
  if (time_limit_s > 0 && lr_schedule == "cosine") {
    throw core::UsageError(full_key(section, "time_limit_s"),
                           "a time limit does not go with lr_schedule = \"cosine\", which must know the "
                           "number of steps; use \"constant\"");
  }
}

std::vector<std::string> LoopConfig::resumable_keys(std::string_view section) const {
  std::vector<std::string> keys;
  for (const char* key :
       {"accumulate", "diverged_factor", "diverged_steps", "log_every", "checkpoint_every", "time_limit_s"}) {
    keys.push_back(full_key(section, key).name);
  }
  if (lr_schedule == "constant") {
    keys.push_back(full_key(section, "steps").name);
  }
  return keys;
}

double learning_rate_at(const LoopConfig& config, int64_t step) {
  double rate = config.learning_rate;
  const auto now = static_cast<double>(step);
  if (step < config.warmup_steps) {
    rate *= now / static_cast<double>(config.warmup_steps);
  }
  if (config.lr_schedule == "cosine") {
    rate *= 0.5 * (1 + std::cos(std::numbers::pi * now / static_cast<double>(config.steps)));
  }
  return rate;
}

}  // namespace ddpm_eval::training
