#include "eval/report_page.h"

#include "base/core/base64.h"
#include "base/core/build_info.h"
#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/record.h"

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

/// The fake side and its yardsticks, a row each, a column per metric.
std::string score_table(const Json& record) {
  std::vector<std::string> head = {"images", "N"};
  for (const auto& [key, unused] : record.at("metrics").items()) {
    head.push_back(key);
  }
  std::vector<std::vector<std::string>> rows;
  const auto add = [&](const std::string& label, const Json& side, const Json& metrics) {
    std::vector<std::string> cells = {label, side.contains("count") ? text_of(side.at("count")) : "?"};
    for (size_t i = 2; i < head.size(); ++i) {
      cells.push_back(metrics.contains(head[i]) ? text_of(metrics.at(head[i])) : "");
    }
    rows.push_back(std::move(cells));
  };
  add("samples: " + text_of(record.at("fake").at("source")), record.at("fake"), record.at("metrics"));
  for (const auto& yardstick : record.value("yardsticks", Json::array())) {
    add("yardstick: " + text_of(yardstick.at("source")), yardstick, yardstick.at("metrics"));
  }
  std::string caption;
  if (record.contains("real")) {
    const auto& real = record.at("real");
    caption = fmt::format("<p>Against {}, N = {}.", escape_html(text_of(real.at("source"))),
                          real.contains("count") ? escape_html(text_of(real.at("count"))) : "?");
    if (record.contains("features") && record.at("features").is_object()) {
      caption += " Features: " + escape_html(record.at("features").value("name", "?")) + ".";
    }
    caption += "</p>";
  }
  return table(head, rows) + caption;
}

/// Evenly spaced lines of the log, the last one among them.
std::string log_table(const fs::path& path) {
  std::istringstream lines(core::read_text(path));
  std::vector<Json> entries;
  for (std::string line; std::getline(lines, line);) {
    auto entry = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (entry.is_object()) {
      entries.push_back(std::move(entry));
    }
  }
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
  if (fs::exists(folder / "score.json")) {
    const auto record = core::read_record(folder / "score.json");
    try {
      body += section("Scores", score_table(record));
    } catch (const Json::exception& error) {
      throw core::DataError("{}: not a score record: {}", (folder / "score.json").string(), error.what());
    }
    context = section("Full record", "<pre>" + escape_html(core::record_text(record)) + "</pre>");
  }
  if (fs::exists(folder / "grid.png")) {
    const auto bytes = core::read_file(folder / "grid.png", 64 << 20);
    body += section("Samples", "<img alt=\"grid of generated samples\" src=\"data:image/png;base64," +
                                   core::base64(bytes) + "\">");
  }
  if (fs::exists(folder / "log.jsonl")) {
    body += section("Training", log_table(folder / "log.jsonl"));
  }
  if (body.empty()) {
    throw core::DataError("{}: nothing to report: no score.json, grid.png or log.jsonl there",
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
