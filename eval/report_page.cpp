#include "eval/report_page.h"

#include "base/core/base64.h"
#include "base/core/build_info.h"
#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/record.h"
#include "eval/line_plot.h"
#include "eval/run_files.h"

#include <sstream>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;
using core::Json;

constexpr size_t kLogRows = 12;  ///< of the loss table; log.jsonl has them all

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --line: #8884; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
img { max-width: 100%; image-rendering: pixelated; }
pre { overflow-x: auto; font-size: .85rem; }
)";

std::string section(const std::string& title, const std::string& body) {
  return fmt::format("<h2>{}</h2>\n{}\n", escape_html(title), body);
}

std::string row(const std::vector<std::string>& cells, const char* tag) {
  std::string text = "<tr>";
  for (const auto& cell : cells) {
    text += fmt::format("<{0}>{1}</{0}>", tag, escape_html(cell));
  }
  return text + "</tr>\n";
}

std::string table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows) {
  std::string text = "<div class=\"wide\"><table>\n" + row(head, "th");
  for (const auto& cells : rows) {
    text += row(cells, "td");
  }
  return text + "</table></div>";
}

std::string text_of(const Json& value) {
  if (value.is_number_float()) {
    return fmt::format("{:.4g}", value.get<double>());
  }
  return value.is_string() ? value.get<std::string>() : core::json_text(value);
}

/// A score.json and where in it one is, for messages.
struct Place {
  const Json& value;
  std::string file;
  std::string path{};

  Place at(const char* key) const {
    const auto below = path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
    if (!value.is_object() || !value.contains(key)) {
      throw core::DataError("{}: not a score record: {} is missing", file, below);
    }
    return {value.at(key), file, below};
  }
  std::string text() const { return text_of(value); }
};

/// The fake side and its yardsticks, a row each, a column per metric.
std::string score_table(const Place& record) {
  std::vector<std::string> head = {"images", "N"};
  for (const auto& [key, unused] : record.at("metrics").value.items()) {
    head.push_back(key);
  }
  std::vector<std::vector<std::string>> rows;
  const auto count_of = [](const Place& side) {
    return side.value.contains("count") ? side.at("count").text() : "?";
  };
  const auto add = [&](const std::string& label, const Place& side, const Json& metrics) {
    std::vector<std::string> cells = {label, count_of(side)};
    for (size_t i = 2; i < head.size(); ++i) {
      cells.push_back(metrics.contains(head[i]) ? text_of(metrics.at(head[i])) : "");
    }
    rows.push_back(std::move(cells));
  };
  const auto fake = record.at("fake");
  add("samples: " + fake.at("source").text(), fake, record.at("metrics").value);
  if (record.value.contains("yardsticks")) {
    for (const auto& entry : record.at("yardsticks").value) {
      const Place yardstick{entry, record.file, "yardsticks[]"};
      add("yardstick: " + yardstick.at("source").text(), yardstick, yardstick.at("metrics").value);
    }
  }
  std::string caption;
  if (record.value.contains("real")) {
    const auto real = record.at("real");
    caption = fmt::format("<p>Against {}, N = {}.", escape_html(real.at("source").text()),
                          escape_html(count_of(real)));
    if (record.value.contains("features") && record.value.at("features").is_object()) {
      caption += " Features: " + escape_html(record.at("features").at("name").text()) + ".";
    }
    caption += "</p>";
  }
  return table(head, rows) + caption;
}

/// The lines of a log. The last may be half a one, of a training that was killed or is under way.
std::vector<Json> read_log(const fs::path& path) {
  std::istringstream lines(core::read_text(path));
  std::vector<Json> entries;
  for (std::string line; std::getline(lines, line);) {
    auto entry = core::parse_json(line);
    if (entry.is_object()) {
      entries.push_back(std::move(entry));
    } else if (!lines.eof()) {
      throw core::DataError("{}:{}: not a line of a training log", path.string(), entries.size() + 1);
    }
  }
  return entries;
}

/// Evenly spaced lines of the log, the last one among them.
std::string log_table(const fs::path& path) {
  const auto entries = read_log(path);
  if (entries.empty()) {
    return "<p>The log is empty.</p>";
  }
  std::vector<std::string> head;
  for (const auto& [key, unused] : entries.back().items()) {
    head.push_back(key);
  }
  std::vector<std::vector<std::string>> rows;
  const size_t count = std::min(kLogRows, entries.size());
  for (size_t i = 0; i < count; ++i) {
    const auto& entry = entries[(i + 1) * entries.size() / count - 1];
    std::vector<std::string> cells;
    for (const auto& key : head) {
      cells.push_back(entry.contains(key) ? text_of(entry.at(key)) : "");
    }
    rows.push_back(std::move(cells));
  }
  return table(head, rows);
}

/// The scores of a training over its steps, the best one ringed.
std::string score_curve(const fs::path& path) {
  LinePlot plot;
  Json context;
  for (const auto& entry : read_log(path)) {
    if (!core::has_integer(entry, "step") || !core::has_number(entry, "value")) {
      continue;  // a score that could not be had
    }
    context = entry;
    plot.points.emplace_back(entry["step"].get<double>(), entry["value"].get<double>());
    if (!plot.marked || plot.points.back().second < plot.marked->second) {
      plot.marked = plot.points.back();
    }
  }
  if (plot.points.empty()) {
    return "<p>No score could be had.</p>";
  }
  const auto text = [&](const char* key) { return context.contains(key) ? text_of(context[key]) : "?"; };
  plot.title = text("metric") + " of the averaged weights";
  plot.x_label = "step";
  plot.y_label = text("metric");
  return render_svg(plot) +
         fmt::format("<p>{} samples of seed {} against {}, N = {}; the best: {:.5g} at step {:.0f}.</p>",
                     escape_html(text("count")), escape_html(text("seed")), escape_html(text("real")),
                     escape_html(text("real_count")), plot.marked->second, plot.marked->first);
}

}  // namespace

std::string escape_html(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

std::string render_run_page(const fs::path& folder) {
  std::string body;
  std::string context;
  if (fs::exists(folder / kScoreFile)) {
    const auto record = core::read_record(folder / kScoreFile);
    body += section("Scores", score_table({record, (folder / kScoreFile).string()}));
    context = section("Full record", "<pre>" + escape_html(core::record_text(record)) + "</pre>");
  }
  if (fs::exists(folder / kGridFile)) {
    const auto bytes = core::read_file(folder / kGridFile, 64 << 20);
    body += section("Samples", "<img alt=\"grid of generated samples\" src=\"data:image/png;base64," +
                                   core::base64(bytes) + "\">");
  }
  if (fs::exists(folder / kScoresFile)) {
    body += section("Scores while it trained", score_curve(folder / kScoresFile));
  }
  if (fs::exists(folder / training::kLogFile)) {
    body += section("Training", log_table(folder / training::kLogFile));
  }
  if (body.empty()) {
    throw core::DataError("{}: nothing to report: no score.json, grid.png, scores.jsonl or log.jsonl there",
                          folder.string());
  }
  const auto title = escape_html("ddpm-eval: " + fs::weakly_canonical(folder).filename().string());
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n<title>{0}</title>\n<style>{1}</style>\n"
      "</head>\n<body>\n<h1>{0}</h1>\n{2}{3}<p>Made by ddpm-eval {4} ({5}).</p>\n</body>\n</html>\n",
      title, kStyle, body, context, core::build_info().version, core::build_info().commit);
}

}  // namespace ddpm_eval::eval
