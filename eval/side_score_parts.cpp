#include "eval/side_score_parts.h"

#include "eval/comparability.h"

#include <cmath>

namespace ddpm_eval::eval {

std::string sources_text(const Side& fake, const ScoreOptions& options) {
  const auto source = text_field(fake.record, "source");
  return options.real.empty() ? source : fmt::format("--real {} against {}", options.real, source);
}

namespace {

Json interval_json(const metrics::Interval& interval) {
  return {{"estimand", interval.estimand}, {"low", interval.low}, {"high", interval.high}};
}

}  // namespace

void add_interval(const char* key, const metrics::Interval& interval, Json& uncertainty) {
  uncertainty["level"] = kIntervalLevel;
  uncertainty[key] = interval_json(interval);
}

void note_withheld(const std::string& metric, const std::string& why, const SideRules& rules,
                   SideScores& scores) {
  if (rules.options.interval) {
    scores.notes.push_back(metric + ": no interval: " + why);
  }
}

void add_uncertainty(const std::string& metric, const metrics::Uncertainty& found, SideScores& scores) {
  Json json = {{"method", found.method}, {"level", found.level}};
  if (found.groups > 0) {
    json["groups"] = found.groups;
  }
  const auto add = [&](const char* key, double value) {
    if (std::isfinite(value)) {
      json[key] = value;
    }
  };
  add("standard_error", found.deviation);
  add("bias", found.bias);
  if (found.at_count) {
    json["at_count"] = interval_json(*found.at_count);
  }
  if (found.at_infinity) {
    json["at_infinity"] = interval_json(*found.at_infinity);
  }
  if (!found.withheld.empty()) {
    json["withheld"] = found.withheld;
    const char* which = found.at_count ? ": no interval for " : ": no interval: ";
    scores.notes.push_back(metric + which + found.withheld);
  }
  json["conditional_on_real"] = found.conditional_on_real;
  scores.uncertainty[metric] = std::move(json);
}

Json& add_standard_error(const std::string& metric, double error, const std::string& estimand,
                         const std::string& method, SideScores& scores) {
  auto& json = scores.uncertainty[metric];
  json = {{"standard_error", error}, {"method", method}};
  if (!estimand.empty()) {
    json["estimand"] = estimand;
  }
  return json;
}

}  // namespace ddpm_eval::eval
