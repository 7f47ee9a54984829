#include "eval/svg.h"

#include "eval/escape_html.h"
#include "eval/plot.h"

#include <map>
#include <set>
#include <sstream>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(std::move(line));
  }
  return lines;
}

/// A text of the plot has a line of its own, as gnuplot writes it.
bool is_text(const std::string& line) { return line.find("<text") != std::string::npos; }

std::string with_all(std::string text, std::string_view what, std::string_view by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
  return text;
}

/// What follows `before` up to the next `quote`, for every place in `line`.
std::vector<std::string> quoted_after(const std::string& line, std::string_view before, char quote) {
  std::vector<std::string> found;
  for (size_t at = line.find(before); at != std::string::npos; at = line.find(before, at + 1)) {
    const size_t begin = at + before.size();
    found.push_back(line.substr(begin, line.find(quote, begin) - begin));
  }
  return found;
}

/// Of gnuplot's definitions, one a line, those that are referred to, also by one another.
std::vector<std::string> used_definitions(const std::vector<std::string>& definitions,
                                          const std::vector<std::string>& body) {
  std::map<std::string, std::string> by_name;
  for (const auto& line : definitions) {
    if (const auto names = quoted_after(line, " id='", '\''); !names.empty()) {
      by_name[names[0]] = line;
    }
  }
  std::set<std::string> used;
  std::vector<std::string> open;
  const auto refer = [&](const std::string& line) {
    for (auto& name : quoted_after(line, "xlink:href='#", '\'')) {
      if (by_name.contains(name) && used.insert(name).second) {
        open.push_back(name);
      }
    }
  };
  for (const auto& line : body) {
    if (!is_text(line)) {
      refer(line);
    }
  }
  while (!open.empty()) {
    const auto name = open.back();
    open.pop_back();
    refer(by_name[name]);
  }
  std::vector<std::string> kept;
  for (const auto& line : definitions) {
    const auto names = quoted_after(line, " id='", '\'');
    if (!names.empty() && used.contains(names[0])) {
      kept.push_back(line);
    }
  }
  return kept;
}

}  // namespace

std::string tidy_svg(const std::string& document) {
  std::vector<std::string> head, definitions, body;
  enum class Part { kHead, kDefinitions, kBody } part = Part::kHead;
  for (auto& line : lines_of(document)) {
    const bool halo = line.starts_with("\t<use ") && line.ends_with(" color='white'/>");
    if (line.empty() || halo || line.starts_with("<title>") || line.starts_with("<desc>")) {
      continue;
    }
    if (line == "<defs>" || line == "</defs>") {
      part = line == "<defs>" ? Part::kDefinitions : Part::kBody;
    } else if (part == Part::kDefinitions) {
      definitions.push_back(std::move(line));
    } else if (line.starts_with("\t<g id=\"gnuplot_plot_")) {
      body.emplace_back("\t<g>");
    } else {
      (part == Part::kHead ? head : body).push_back(std::move(line));
    }
  }
  std::string text;
  const auto add = [&text](const std::vector<std::string>& lines) {
    for (const auto& line : lines) {
      text += line + "\n";
    }
  };
  add(head);
  if (const auto kept = used_definitions(definitions, body); !kept.empty()) {
    text += "<defs>\n";
    add(kept);
    text += "</defs>\n";
  }
  add(body);
  // Groups with nothing in them, of which gnuplot writes many.
  for (size_t at = text.find("<g fill="); at != std::string::npos; at = text.find("<g fill=", at)) {
    const size_t end = text.find('\n', at);
    if (text.compare(end, 6, "\n</g>\n") == 0) {
      text.erase(at, end + 6 - at);
    } else {
      at = end;
    }
  }
  return text;
}

std::string inline_svg(const std::string& document, const std::string& prefix, const std::string& label) {
  std::vector<std::pair<std::string, std::string>> pairs = {
      {" id='", " id='" + prefix},    {" id=\"", " id=\"" + prefix}, {"xlink:href='#", "href='#" + prefix},
      {"rgb(0,0,0)", "currentColor"}, {"'black'", "'currentColor'"}, {"\"black\"", "\"currentColor\""}};
  const auto colour = [&](const std::array<int, 3>& ink, const std::string& variable) {
    pairs.emplace_back(fmt::format("rgb({:3}, {:3}, {:3})", ink[0], ink[1], ink[2]),
                       fmt::format("var(--{})", variable));
  };
  for (size_t i = 0; i < kPlotColours.size(); ++i) {
    colour(kPlotColours[i], fmt::format("p{}", i));
  }
  colour(kAxisInk, "axis");
  colour(kGridLine, "grid");
  colour(kBehindInk, "behind");
  std::string text;
  for (auto line : lines_of(document)) {
    if (line.starts_with(" xmlns")) {
      continue;  // within a page the names of the languages are known
    }
    if (!is_text(line)) {
      for (const auto& [what, by] : pairs) {
        line = with_all(std::move(line), what, by);
      }
    }
    if (line.starts_with("<svg")) {
      line = "<svg role=\"img\" aria-label=\"" + escape_html(label) + "\"";
    }
    text += line + "\n";
  }
  return text;
}

}  // namespace ddpm_eval::eval
