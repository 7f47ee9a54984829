#pragma once

#include <filesystem>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace ddpm_eval::eval {

/// What `report` can make a page of.
enum class ReportKind {
  kRun,      ///< a folder with any file of a run
  kGrid,     ///< a folder of `ablate`
  kRecord,   ///< a .json file: of `score`, `nll` or a grid's table
  kHistory,  ///< a .jsonl file, or a folder with some that holds no run
};

struct ReportPage {
  std::string html;
  bool lacks_plots = false;  ///< gnuplot is not installed
};

/// Throws DataError, naming what would do, for what is none of them.
ReportKind report_kind(const std::filesystem::path& path);

/// Where the page goes if nothing else is said: index.html in a folder, NAME.html beside a file.
std::filesystem::path default_page(const std::filesystem::path& path);

/// One self-contained page, which loads nothing and needs no script; everything read from files is escaped.
/// What is absent, because a training is under way, has failed or was not asked for, is said or left out; a
/// file that is not what its name says is a DataError that names it, and the line where it has lines.
/// `target` is where the page will be: links to files are relative to it. The same files give the same bytes.
ReportPage make_report(const std::filesystem::path& path, const std::filesystem::path& target);

/// make_report() by kind.
ReportPage run_page(const std::filesystem::path& folder, const std::filesystem::path& target);
ReportPage grid_page(const std::filesystem::path& folder, const std::filesystem::path& target);
ReportPage record_page(const std::filesystem::path& file, const std::filesystem::path& target);
ReportPage history_page(const std::filesystem::path& path, const std::filesystem::path& target);

}  // namespace ddpm_eval::eval
