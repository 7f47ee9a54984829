#include "eval/report/report.h"

#include "base/core/error.h"
#include "eval/ablation/grid.h"
#include "eval/report/page.h"
#include "eval/run_files.h"

#include <system_error>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;

bool holds_history(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".jsonl") {
      return true;
    }
  }
  return false;
}

}  // namespace

ReportKind report_kind(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    if (!file_exists(path)) {
      throw core::DataError("{}: is not there", path.string());
    }
    if (path.extension() == ".json") {
      return ReportKind::kRecord;
    }
    if (path.extension() == ".jsonl") {
      return ReportKind::kHistory;
    }
    throw core::DataError("{}: neither a folder nor a .json or .jsonl file", path.string());
  }
  if (file_exists(path / kGridCopy)) {
    return ReportKind::kGrid;
  }
  for (const char* name : {kRunRecordFile, kImportRecordFile, kScoresFile, kScoreFile, kGridFile,
                           training::kLogFile, training::kCheckpointFile}) {
    if (file_exists(path / name)) {
      return ReportKind::kRun;
    }
  }
  if (holds_history(path)) {
    return ReportKind::kHistory;
  }
  throw core::DataError(
      "{}: nothing to report: no run (run.json, log.jsonl, score.json, grid.png, ...), no grid (grid.toml) "
      "and "
      "no history (*.jsonl) there",
      path.string());
}

fs::path default_page(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error) ? path / "index.html" : fs::path(path).replace_extension(".html");
}

ReportPage make_report(const fs::path& path, const fs::path& target) {
  switch (report_kind(path)) {
    case ReportKind::kRun:
      return run_page(path, target);
    case ReportKind::kGrid:
      return grid_page(path, target);
    case ReportKind::kRecord:
      return record_page(path, target);
    case ReportKind::kHistory:
      return history_page(path, target);
  }
  return {};
}

}  // namespace ddpm_eval::eval
