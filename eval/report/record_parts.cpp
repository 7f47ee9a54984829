#include "eval/report/record_parts.h"

#include "eval/report/curves.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;

/// `key` of the object under `section`, a text; nothing where either is missing.
std::string word_of(const JsonReader& record, const char* section, const char* key) {
  const auto below = record.maybe_below(section);
  return below ? below->text_or_none(key) : std::string();
}

std::string number_of(const JsonReader& record, const char* key) {
  if (!record.has(key)) {
    return {};
  }
  record.non_negative(key);
  return shown_value(record.at(key));
}

}  // namespace

Html likelihood_part(const JsonReader& record, const fs::path& curve, Page& page) {
  const bool bits = record.second_of("unit", "nats/dim", "bits/dim");
  const auto unit = record.text("unit");
  const std::string key = bits ? "bits_per_dim" : "nats_per_dim";
  PageTable table{fmt::format("The bound and its parts, {}", unit), {"part", "mean", "standard error"}, {}};
  const auto add = [&](const std::string& name, double mean, double error) {
    table.rows.push_back({text_piece(name), text_piece(fmt::format("{:.5f}", mean)),
                          text_piece(fmt::format("{:.5f}", error))});
  };
  const auto parts = record.below("parts");
  for (const char* part : {"regularisation", "denoising", "reconstruction"}) {
    const auto one = parts.below(part);
    add(part, one.number("mean"), one.non_negative("error"));
  }
  const auto metrics = record.below("metrics");
  add("total", metrics.number(key.c_str()), metrics.non_negative((key + "_error").c_str()));
  Html part = table_element(table);
  part.add(element("p", {}, fmt::format("{} examples of {}.", record.count("count"), record.text("data"))));

  std::vector<PlotFigure> figures;
  if (file_exists(curve)) {
    PlotSeries terms{"", read_bound_curve(curve), Marks::kLine, Interval::kBand};
    CurvePlot plot{"t", unit + " per step", {terms}};
    plot.log_y = suits_log_axis(plot.series);
    figures.push_back({"The bound's terms along the chain", "With their standard errors", plot});
  }
  PageTable coding{"Progressive coding", {"steps", "rate, " + unit, "RMSE"}, {}};
  PlotSeries points{"", {}, Marks::kLineAndPoints};
  for (const auto& row : record.objects("progressive_coding")) {
    const double rate = row.number("rate"), rmse = row.non_negative("rmse");
    row.non_negative("steps");
    coding.rows.push_back({text_piece(shown_value(row.at("steps"))), text_piece(fmt::format("{:.5f}", rate)),
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

Facts context_facts(const JsonReader& record) {
  const auto tool = [&](const char* key) { return word_of(record, "tool", key); };
  const auto runtime = record.maybe_below("runtime");
  const auto version = tool("version");
  return {
      {"Made", record.text_or_none("created")},
      {"Program", version.empty() ? std::string()
                                  : fmt::format("ddpm-eval {} ({}), {}, {}", version, tool("commit"),
                                                tool("build_type"), tool("compiler"))},
      {"Device", word_of(record, "runtime", "device")},
      {"Threads", runtime ? number_of(*runtime, "threads") : std::string()},
      {"LibTorch", word_of(record, "runtime", "libtorch")},
      {"Kernels for", word_of(record, "runtime", "cpu_capability")},
      {"BLAS", word_of(record, "runtime", "blas")},
      {"Precision", record.text_or_none("precision")},
      {"Features", word_of(record, "features", "name")},
      {"Weights' SHA-256", word_of(record, "features", "weights_sha256")},
      {"Preset", record.text_or_none("preset")},
      {"Run", record.text_or_none("run")},
      {"Step", number_of(record, "step")},
      {"Checkpoint's SHA-256", record.text_or_none("checkpoint_sha256")},
      {"Weights", record.text_or_none("weights")},
      {"Parameters", number_of(record, "parameters")},
      {"Seed", number_of(record, "seed")},
      {"Seconds", number_of(record, "seconds")},
  };
}

}  // namespace ddpm_eval::eval
