#pragma once

#include "eval/plot.h"
#include "eval/report/html.h"
#include "eval/run_files.h"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

// The parts that all pages of `report` are made of.
namespace ddpm_eval::eval {

/// A text, where a piece of a page is asked for.
Html text_piece(std::string_view text);

struct PageTable {
  std::string caption;  ///< also what the region that scrolls is called
  std::vector<std::string> head;
  std::vector<std::vector<Html>> rows;  ///< the first of each is the row's header
  std::vector<size_t> text_columns{};   ///< those of words, beside the first; the others are of numbers
};

/// In a region of its own that can be scrolled, by the keyboard too.
Html table_element(const PageTable& table);

/// Names with what they stand for; those that are empty are left out.
using Facts = std::vector<std::pair<std::string, std::string>>;
Html facts_element(const Facts& facts);

/// Closed at first.
Html details_element(const std::string& summary, const Html& content);

/// A record in full, closed at first.
Html record_element(const std::string& summary, const nlohmann::ordered_json& record);

/// A link to a file.
struct FileLink {
  std::string text;
  std::filesystem::path file;
};

/// What follows from a number or text of a record for people: numbers to four digits.
std::string shown_value(const nlohmann::ordered_json& value);

struct PlotFigure {
  std::string title;
  std::string caption;
  Plot plot;
};

/// A picture in the page itself.
struct ImageFigure {
  std::string title;
  std::string caption;
  std::string alt;
  std::string url;  ///< data_url()
};
Html image_figure(const ImageFigure& figure);

/// Pieces side by side where there is room.
Html figures_element(const std::vector<Html>& figures, bool small = false);

/// One page being made. `target` is where it will be, from which links are relative.
class Page {
 public:
  /// `kind` is what it is a page of, `title` what that is called.
  Page(std::string kind, std::string title, const std::filesystem::path& target);

  /// What stands below the title.
  void introduce(const Html& piece) { introduction_.add(piece); }

  /// A part with a heading, and an entry in the table of contents. One that is empty is left out.
  void add(const std::string& title, const Html& body);

  /// Draws all at once. Figures of plots without points are left out; where gnuplot is not installed they all
  /// are.
  std::vector<Html> draw(const std::vector<PlotFigure>& figures);

  /// An address relative to the page.
  std::string url_of(const std::filesystem::path& file) const;
  Html link(const FileLink& link) const;

  bool is_empty() const { return sections_.empty(); }
  bool lacks_plots() const { return lacks_plots_; }

  /// The whole document.
  std::string html() const;

 private:
  struct Section {
    std::string title;
    Html body;
  };

  std::string kind_;
  std::string title_;
  std::filesystem::path folder_;
  Html introduction_;
  std::vector<Section> sections_;
  int plots_ = 0;  ///< drawn so far: names in them differ by it
  bool lacks_plots_ = false;
};

}  // namespace ddpm_eval::eval
