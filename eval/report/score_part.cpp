#include "eval/ablation/grid_table.h"
#include "eval/ablation/table_metrics.h"
#include "eval/json_reader.h"
#include "eval/report/record_parts.h"

#include <algorithm>
#include <optional>
#include <span>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

using core::Json;

constexpr const char* kWhat = "a score record";

/// Scores that grids have no columns for, in the order of a page's columns.
constexpr TableMetric kOtherMetrics[] = {
    {"inception_score_infinity", "IS∞", true},
    {"classifier_score_infinity", "classifier score∞", true},
    {"frechet_inception_distance_infinity", "FID∞"},
    {"spatial_frechet_inception_distance_infinity", "sFID∞"},
    {"frechet_distance_infinity", "Frechet distance∞"},
    {"kernel_inception_distance", "KID"},
    {"kernel_inception_distance_mean", "KID of subsets"},
    {"kernel_distance", "kernel distance"},
    {"kernel_distance_mean", "kernel distance of subsets"},
    {"precision", "precision", true},
    {"recall", "recall", true},
    {"f_score", "F score", true},
    {"density", "density", true},
    {"coverage", "coverage", true},
    {"authenticity", "authenticity", true},
};

const TableMetric* known_metric(const std::string& key) {
  for (const auto all : {table_metrics(), std::span<const TableMetric>(kOtherMetrics)}) {
    if (const auto found = std::ranges::find_if(all, [&](const TableMetric& one) { return one.key == key; });
        found != all.end()) {
      return &*found;
    }
  }
  return nullptr;
}

/// Of "kernel_distance_mean" "kernel_distance_std", the spread that tools print beside it; else nothing.
std::string spread_key(const std::string& key) {
  return key.ends_with("_mean") ? key.substr(0, key.rfind('_')) + "_std" : std::string();
}

bool is_score_of_classes(const std::string& key) {
  return key.starts_with("inception_score") || key.starts_with("classifier_score");
}

/// A score's record, whose fields are what they should be as far as they are shown.
class ScoreRecord {
 public:
  ScoreRecord(const Json& json, const std::string& file)
      : json_(json), file_(file), top_(json, file, kWhat) {}

  const JsonReader& top() const { return top_; }

  /// The object under `key`; none where there is no such key.
  std::optional<JsonReader> maybe(const char* key) const {
    return top_.has(key) ? std::optional(top_.below(key)) : std::nullopt;
  }

  std::vector<JsonReader> yardsticks() const {
    std::vector<JsonReader> readers;
    if (top_.has("yardsticks")) {
      for (const auto& one : top_.list("yardsticks")) {
        readers.emplace_back(one, fmt::format("{}: yardsticks[{}]", file_, readers.size()), kWhat);
      }
    }
    return readers;
  }

  /// Those with a column: not the spread that is shown beside its mean.
  std::vector<std::string> keys() const {
    const auto metrics = top_.below("metrics");
    const auto& values = top_.at("metrics");
    if (values.empty()) {
      top_.refuse("metrics must hold a score at least");
    }
    std::vector<std::string> keys;
    for (const auto& [key, unused] : values.items()) {
      metrics.number(key.c_str());
      const auto stem = key.substr(0, key.rfind('_'));
      if (!(key.ends_with("_std") && values.contains(stem + "_mean"))) {
        keys.push_back(key);
      }
    }
    return keys;
  }

  /// What is known of how far a score may be off.
  std::optional<JsonReader> uncertainty(const std::string& key) const {
    const auto all = maybe("uncertainty");
    return all && all->has(key.c_str()) ? std::optional(all->below(key.c_str())) : std::nullopt;
  }

  std::optional<double> standard_error(const std::string& key) const {
    const auto found = uncertainty(key);
    return found && found->has("standard_error") ? std::optional(found->number("standard_error"))
                                                 : std::nullopt;
  }

 private:
  const Json& json_;
  const std::string& file_;
  JsonReader top_;
};

std::string count_text(const JsonReader& side) {
  return side.has("count") ? fmt::format("{}", side.count("count")) : "?";
}

/// "KID ↓, ± standard error". Within a column ± is one thing.
std::string heading(const ScoreRecord& record, const std::string& key) {
  auto text = metric_name(key);
  if (const auto* known = known_metric(key)) {
    text += known->higher_is_better ? " ↑" : " ↓";
  }
  if (record.top().below("metrics").has(spread_key(key).c_str())) {
    return text + (is_score_of_classes(key) ? ", ± over splits" : ", ± over subsets");
  }
  return text + (record.standard_error(key) ? ", ± standard error" : "");
}

/// `spread` is what is shown beside it where the values have no other.
std::string metric_text(const JsonReader& metrics, const std::string& key, std::optional<double> spread) {
  if (!metrics.has(key.c_str())) {
    return "–";
  }
  const double value = metrics.number(key.c_str());
  if (const auto beside = spread_key(key); metrics.has(beside.c_str())) {
    spread = metrics.number(beside.c_str());
  }
  return spread ? with_deviation(value, *spread) : shown_value(value);
}

Html scores_table(const ScoreRecord& record) {
  const auto fake = record.top().below("fake");
  fake.text("source");
  const auto keys = record.keys();
  PageTable table{"Samples and yardsticks", {"images", "N"}, {}};
  for (const auto& key : keys) {
    table.head.push_back(heading(record, key));
  }
  const auto add = [&](const std::string& what, const std::string& count, const JsonReader& metrics,
                       bool has_errors) {
    std::vector<Html> row = {text_piece(what), text_piece(count)};
    for (const auto& key : keys) {
      row.push_back(text_piece(
          metric_text(metrics, key, has_errors ? record.standard_error(key) : std::optional<double>())));
    }
    table.rows.push_back(std::move(row));
  };
  add("samples: " + fake.text("source"), count_text(fake), record.top().below("metrics"), true);
  for (const auto& yardstick : record.yardsticks()) {
    add("yardstick: " + yardstick.text("source"), count_text(yardstick), yardstick.below("metrics"), false);
  }
  if (const auto floor = record.maybe("floor")) {
    add("floor: fresh real points, median", "", *floor, false);
  }
  return table_element(table);
}

/// Standard errors and intervals, each with what it is of.
Html uncertainty_table(const ScoreRecord& record) {
  PageTable table{"How far the scores of the samples may be off",
                  {"score", "standard error", "bias", "interval", "of what", "method"},
                  {},
                  {4, 5}};
  const auto uncertainty = record.maybe("uncertainty");
  if (!uncertainty) {
    return {};
  }
  for (const auto& [key, unused] : record.top().at("uncertainty").items()) {
    const auto score = metric_name(key);
    const auto one = uncertainty->below(key.c_str());
    const auto number = [&](const char* name) {
      return one.has(name) ? shown_value(one.number(name)) : std::string("–");
    };
    const auto method = one.has("method") ? one.text("method") : std::string("–");
    const auto add = [&](const std::string& interval, const std::string& estimand) {
      std::vector<Html> row;
      for (const auto& text : {score, number("standard_error"), number("bias"), interval, estimand, method}) {
        row.push_back(text_piece(text));
      }
      table.rows.push_back(std::move(row));
    };
    const size_t before = table.rows.size();
    for (const char* name : {"at_count", "at_infinity"}) {
      if (one.has(name)) {
        const auto interval = one.below(name);
        add(fmt::format("{:.0f} %: {} to {}", 100 * one.number("level"), shown_value(interval.number("low")),
                        shown_value(interval.number("high"))),
            interval.text("estimand"));
      }
    }
    if (table.rows.size() == before) {
      add("–", one.has("estimand")   ? one.text("estimand")
               : one.has("withheld") ? "withheld: " + one.text("withheld")
                                     : "–");
    }
  }
  return table.rows.empty() ? Html() : table_element(table);
}

}  // namespace

std::string metric_name(const std::string& key) {
  const auto* known = known_metric(key);
  return known == nullptr ? key : std::string(known->name);
}

Html score_part(const Json& json, const std::string& file) {
  const ScoreRecord record(json, file);
  Html part = scores_table(record);
  part.add(uncertainty_table(record));
  const auto keys = record.keys();
  if (record.top().has("real") || !std::ranges::all_of(keys, is_score_of_classes)) {
    const auto real = record.top().below("real");
    auto text = fmt::format("Against {}, N = {}.", real.text("source"), count_text(real));
    if (record.top().has("features") && record.top().at("features").is_object()) {
      text += fmt::format(" Features: {}.", record.top().below("features").text("name"));
    }
    part.add(element("p", {}, text));
  }
  if (record.top().has("notes")) {
    for (const auto& note : record.top().list("notes")) {
      part.add(element("p", {{"class", "soft"}}, "Note: " + shown_value(note)));
    }
  }
  return part;
}

}  // namespace ddpm_eval::eval
