#include "eval/report/page.h"

#include "base/core/build_info.h"
#include "base/core/record.h"
#include "eval/report/style.h"
#include "eval/svg.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;

/// Nothing is loaded, run or sent, whatever a file might have put into the page.
constexpr const char* kPolicy =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

fs::path plain_path(const fs::path& path) {
  std::error_code error;
  const auto whole = fs::weakly_canonical(fs::absolute(path, error), error);
  return error ? path : whole;
}

Html caption_element(const std::string& title, const std::string& caption) {
  Html content = element("b", {}, title);
  if (!caption.empty()) {
    content.add(element("span", {}, caption));
  }
  return element("figcaption", {}, content);
}

}  // namespace

Html text_piece(std::string_view text) { return Html().add(text); }

Html table_element(const PageTable& table) {
  const auto classes = [&](size_t column) {
    const bool words = std::ranges::find(table.text_columns, column) != table.text_columns.end();
    return words ? Attributes{{"class", "words"}} : Attributes{};
  };
  Html head, body;
  for (size_t i = 0; i < table.head.size(); ++i) {
    auto attributes = classes(i);
    if (!table.head[i].empty()) {
      attributes.push_back({"scope", "col"});
    }
    head.add(element(table.head[i].empty() ? "td" : "th", attributes, table.head[i]));
  }
  for (const auto& row : table.rows) {
    Html cells;
    for (size_t i = 0; i < row.size(); ++i) {
      cells.add(i == 0 ? element("th", {{"scope", "row"}}, row[i]) : element("td", classes(i), row[i]));
    }
    body.add(element("tr", {}, cells));
  }
  const auto content = element("table", {}, element("caption", {}, table.caption),
                               element("thead", {}, element("tr", {}, head)), element("tbody", {}, body));
  return element("div",
                 {{"class", "scroll"}, {"role", "region"}, {"tabindex", "0"}, {"aria-label", table.caption}},
                 content);
}

Html facts_element(const Facts& facts) {
  Html list;
  for (const auto& [name, value] : facts) {
    if (!value.empty()) {
      list.add(element("dt", {}, name)).add(element("dd", {}, value));
    }
  }
  return list.empty() ? Html() : element("dl", {}, list);
}

Html details_element(const std::string& summary, const Html& content) {
  return element("details", {}, element("summary", {}, summary), content);
}

Html record_element(const std::string& summary, const core::Json& record) {
  return details_element(summary,
                         element("pre", {{"tabindex", "0"}, {"role", "region"}, {"aria-label", summary}},
                                 core::record_text(record)));
}

std::string shown_value(const core::Json& value) {
  if (value.is_number_float()) {
    return fmt::format("{:.4g}", value.get<double>());
  }
  if (value.is_null()) {
    return "–";
  }
  return value.is_string() ? value.get<std::string>() : core::json_text(value);
}

Html image_figure(const ImageFigure& figure) {
  return element("figure", {}, caption_element(figure.title, figure.caption),
                 void_element("img", {{"src", figure.url}, {"alt", figure.alt}}));
}

Html figures_element(const std::vector<Html>& figures, bool small) {
  if (figures.empty()) {
    return {};
  }
  Html all;
  for (const auto& figure : figures) {
    all.add(figure);
  }
  return element("div", {{"class", small ? "figures small" : "figures"}}, all);
}

Page::Page(std::string kind, std::string title, const fs::path& target)
    : kind_(std::move(kind)), title_(std::move(title)), folder_(plain_path(target).parent_path()) {}

void Page::add(const std::string& title, const Html& body) {
  if (!body.empty()) {
    sections_.push_back({title, body});
  }
}

std::vector<Html> Page::draw(const std::vector<PlotFigure>& figures) {
  std::vector<Plot> plots;
  std::vector<const PlotFigure*> drawn;
  for (const auto& figure : figures) {
    if (has_points(figure.plot)) {
      plots.push_back(figure.plot);
      drawn.push_back(&figure);
    }
  }
  const auto documents = lacks_plots_ ? std::nullopt : draw_plots(plots, Paper::kTransparent);
  if (!documents) {
    lacks_plots_ = true;
    return {};
  }
  std::vector<Html> pieces;
  for (size_t i = 0; i < drawn.size(); ++i) {
    auto caption = drawn[i]->caption;
    if (const size_t left_off = left_off_log_axes(drawn[i]->plot); left_off > 0) {
      caption += fmt::format("{}{} at or below zero {} not drawn", caption.empty() ? "" : "; ",
                             left_off == 1 ? "1 number" : fmt::format("{} numbers", left_off),
                             left_off == 1 ? "is" : "are");
    }
    const auto label = drawn[i]->title + (caption.empty() ? "" : ". " + caption);
    const auto svg = inline_svg((*documents)[i], fmt::format("plot{}-", ++plots_), label);
    pieces.push_back(element("figure", {}, caption_element(drawn[i]->title, caption), Html::trusted(svg)));
  }
  return pieces;
}

std::string Page::url_of(const fs::path& file) const {
  return url_of_path("./" + plain_path(file).lexically_relative(folder_).generic_string());
}

Html Page::link(const FileLink& link) const { return element("a", {{"href", url_of(link.file)}}, link.text); }

std::string Page::html() const {
  Html contents, main;
  for (size_t i = 0; i < sections_.size(); ++i) {
    const auto id = fmt::format("part-{}", i + 1);
    contents.add(element("li", {}, element("a", {{"href", "#" + id}}, sections_[i].title)));
    main.add(element("section", {{"id", id}, {"aria-labelledby", id + "-title"}},
                     element("h2", {{"id", id + "-title"}}, sections_[i].title), sections_[i].body));
  }
  Html header = element("p", {{"class", "kind"}}, kind_);
  header.add(element("h1", {}, title_)).add(introduction_);
  if (lacks_plots_) {
    header.add(element("p", {{"class", "banner"}},
                       "Plots are left out: gnuplot was not installed where this page was made."));
  }
  if (sections_.size() > 2) {
    header.add(element("nav", {{"aria-label", "Contents"}}, element("ul", {}, contents)));
  }
  const auto info = core::build_info();
  const auto head = element(
      "head", {}, void_element("meta", {{"charset", "utf-8"}}),
      void_element("meta", {{"http-equiv", "Content-Security-Policy"}, {"content", kPolicy}}),
      void_element("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}}),
      void_element("meta", {{"name", "color-scheme"}, {"content", "light dark"}}),
      element("title", {}, fmt::format("{} – {}", title_, kind_)),
      element("style", {}, Html::trusted(kStyle)));
  const auto body =
      element("body", {}, element("header", {}, header), element("main", {}, main),
              element("footer", {}, fmt::format("Made by ddpm-eval {} ({}).", info.version, info.commit)));
  return "<!DOCTYPE html>\n" + element("html", {{"lang", "en"}}, head, body).markup();
}

}  // namespace ddpm_eval::eval
