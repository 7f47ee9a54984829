#include "eval/report/record_parts.h"

#include "base/core/error.h"
#include "base/core/json.h"
#include "eval/ablation/grid_table.h"
#include "eval/ablation/table_metrics.h"
#include "eval/report/curves.h"

#include <algorithm>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;
using core::Json;

const TableMetric* known_metric(const std::string& key) {
  const auto found =
      std::ranges::find_if(table_metrics(), [&](const TableMetric& one) { return one.key == key; });
  return found == table_metrics().end() ? nullptr : &*found;
}

bool ends_in(const std::string& text, std::string_view end) { return text.ends_with(end); }

/// "frechet_distance" or "classifier_score_mean": not the deviation that is shown beside its mean.
std::vector<std::string> shown_metrics(const Json& metrics) {
  std::vector<std::string> keys;
  for (const auto& [key, unused] : metrics.items()) {
    const auto stem = key.substr(0, key.rfind('_'));
    if (!(ends_in(key, "_std") && metrics.contains(stem + "_mean"))) {
      keys.push_back(key);
    }
  }
  return keys;
}

std::string metric_text(const Json& metrics, const std::string& key) {
  if (!metrics.is_object() || !metrics.contains(key)) {
    return "–";
  }
  auto text = shown_value(metrics[key]);
  const auto stem = key.substr(0, key.rfind('_'));
  if (ends_in(key, "_mean") && core::has_number(metrics, (stem + "_std").c_str()) &&
      metrics[key].is_number()) {
    text = with_deviation(metrics[key].get<double>(), metrics[stem + "_std"].get<double>());
  }
  return text;
}

std::string metric_head(const std::string& key) {
  const auto* known = known_metric(key);
  return known == nullptr ? key : fmt::format("{} {}", known->name, known->higher_is_better ? "↑" : "↓");
}

std::string field(const Json& record, const char* section, const char* key) {
  if (!record.contains(section) || !record[section].is_object() || !record[section].contains(key)) {
    return {};
  }
  return shown_value(record[section][key]);
}

std::string plain_field(const Json& record, const char* key) {
  return record.contains(key) && !record[key].is_structured() ? shown_value(record[key]) : std::string();
}

}  // namespace

RecordPlace RecordPlace::at(const char* key) const {
  const auto below = path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
  if (!has(key)) {
    throw core::DataError("{}: not a {} record: {} is missing", file_, kind_, below);
  }
  return {value_.at(key), file_, kind_, below};
}

double RecordPlace::number() const {
  if (!value_.is_number()) {
    throw core::DataError("{}: not a {} record: {} is no number", file_, kind_, path_);
  }
  return value_.get<double>();
}

std::string metric_name(const std::string& key) {
  const auto* known = known_metric(key);
  return known == nullptr ? key : std::string(known->name);
}

Html score_part(const Json& json, const std::string& file) {
  const RecordPlace record(json, file, "score");
  const auto metrics = record.at("metrics");
  const auto keys = shown_metrics(metrics.value().is_object() ? metrics.value() : Json::object());
  PageTable table{"Samples and yardsticks", {"images", "N"}, {}};
  for (const auto& key : keys) {
    table.head.push_back(metric_head(key));
  }
  const auto add = [&](const std::string& what, const RecordPlace& side, const Json& values) {
    std::vector<Html> row = {text_piece(fmt::format("{}: {}", what, side.at("source").text())),
                             text_piece(side.has("count") ? side.at("count").text() : "?")};
    for (const auto& key : keys) {
      row.push_back(text_piece(metric_text(values, key)));
    }
    table.rows.push_back(std::move(row));
  };
  add("samples", record.at("fake"), metrics.value());
  if (record.has("yardsticks")) {
    const auto yardsticks = record.at("yardsticks");
    for (const auto& one : yardsticks.value()) {
      const auto yardstick = yardsticks.element(one);
      add("yardstick", yardstick, yardstick.at("metrics").value());
    }
  }
  if (record.has("floor")) {
    std::vector<Html> row = {text_piece("floor: fresh real points, median"), text_piece("")};
    for (const auto& key : keys) {
      row.push_back(text_piece(metric_text(record.at("floor").value(), key)));
    }
    table.rows.push_back(std::move(row));
  }
  Html part = table_element(table);
  if (record.has("real")) {
    const auto real = record.at("real");
    auto text = fmt::format("Against {}, N = {}.", real.at("source").text(),
                            real.has("count") ? real.at("count").text() : "?");
    if (const auto features = field(json, "features", "name"); !features.empty()) {
      text += fmt::format(" Features: {}.", features);
    }
    part.add(element("p", {}, text));
  }
  if (record.has("notes")) {
    for (const auto& note : record.at("notes").value()) {
      part.add(element("p", {{"class", "soft"}}, "Note: " + shown_value(note)));
    }
  }
  return part;
}

Html likelihood_part(const Json& json, const std::string& file, const fs::path& curve, Page& page) {
  const RecordPlace record(json, file, "likelihood");
  const auto unit = record.at("unit").text();
  const std::string key = unit == "bits/dim" ? "bits_per_dim" : "nats_per_dim";
  PageTable table{fmt::format("The bound and its parts, {}", unit), {"part", "mean", "standard error"}, {}};
  const auto add = [&](const std::string& name, double mean, double error) {
    table.rows.push_back({text_piece(name), text_piece(fmt::format("{:.5f}", mean)),
                          text_piece(fmt::format("{:.5f}", error))});
  };
  for (const char* part : {"regularisation", "denoising", "reconstruction"}) {
    const auto one = record.at("parts").at(part);
    add(part, one.at("mean").number(), one.at("error").number());
  }
  const auto metrics = record.at("metrics");
  add("total", metrics.at(key.c_str()).number(), metrics.at((key + "_error").c_str()).number());
  Html part = table_element(table);
  part.add(element("p", {},
                   fmt::format("{} examples of {}.", record.at("count").text(), record.at("data").text())));

  std::vector<PlotFigure> figures;
  if (file_exists(curve)) {
    PlotSeries terms{"", read_bound_curve(curve), Marks::kLine, Interval::kBand};
    CurvePlot plot{"t", unit + " per step", {terms}};
    plot.log_y = suits_log_axis(plot.series);
    figures.push_back({"The bound's terms along the chain", "With their standard errors", plot});
  }
  const auto rows = record.at("progressive_coding");
  PageTable coding{"Progressive coding", {"steps", "rate, " + unit, "RMSE"}, {}};
  PlotSeries points{"", {}, Marks::kLineAndPoints};
  for (const auto& one : rows.value()) {
    const auto row = rows.element(one);
    const double rate = row.at("rate").number(), rmse = row.at("rmse").number();
    coding.rows.push_back({text_piece(row.at("steps").text()), text_piece(fmt::format("{:.5f}", rate)),
                           text_piece(fmt::format("{:.5f}", rmse))});
    points.points.push_back({rate, rmse});
  }
  if (!coding.rows.empty()) {
    figures.push_back({"Progressive coding", "Distortion over rate, step by step",
                       CurvePlot{"rate, " + unit, "RMSE", {points}}});
  }
  part.add(figures_element(page.draw(figures)));
  if (!coding.rows.empty()) {
    part.add(details_element("Progressive coding in numbers", table_element(coding)));
  }
  return part;
}

Facts context_facts(const Json& record) {
  const auto version = field(record, "tool", "version");
  Facts facts = {
      {"Made", plain_field(record, "created")},
      {"Program", version.empty()
                      ? std::string()
                      : fmt::format("ddpm-eval {} ({}), {}, {}", version, field(record, "tool", "commit"),
                                    field(record, "tool", "build_type"), field(record, "tool", "compiler"))},
      {"Device", field(record, "runtime", "device")},
      {"Threads", field(record, "runtime", "threads")},
      {"LibTorch", field(record, "runtime", "libtorch")},
      {"Kernels for", field(record, "runtime", "cpu_capability")},
      {"BLAS", field(record, "runtime", "blas")},
      {"Precision", plain_field(record, "precision")},
      {"Features", field(record, "features", "name")},
      {"Weights' SHA-256", field(record, "features", "weights_sha256")},
      {"Preset", plain_field(record, "preset")},
      {"Run", plain_field(record, "run")},
      {"Step", plain_field(record, "step")},
      {"Checkpoint's SHA-256", plain_field(record, "checkpoint_sha256")},
      {"Weights", plain_field(record, "weights")},
      {"Parameters", plain_field(record, "parameters")},
      {"Seed", plain_field(record, "seed")},
      {"Seconds", plain_field(record, "seconds")},
  };
  return facts;
}

}  // namespace ddpm_eval::eval
