#pragma once

#include "base/training/checkpoint.h"
#include "base/training/train_log.h"
#include "eval/distinct_files.h"

#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

// The files of a run's folder besides those of base/training: one list for those who write them and those who
// must not write over them.
namespace ddpm_eval::eval {

inline constexpr const char* kRunRecordFile = "run.json";
inline constexpr const char* kImportRecordFile = "import.json";
inline constexpr const char* kScoresFile = "scores.jsonl";  ///< of scores while it trained
inline constexpr const char* kScoreFile = "score.json";     ///< of a finished run, where a page looks for it
inline constexpr const char* kGridFile = "grid.png";        ///< likewise

/// The first line of nll/curve.csv.
inline constexpr const char* kBoundCurveHead = "first_t,steps,term,term_error,x_0_mse";

/// False as well where it cannot be told.
inline bool file_exists(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

/// What training or import writes there, under the flag that names the folder.
inline std::vector<FlagFile> files_of_run(const std::string& flag, const std::filesystem::path& run) {
  std::vector<FlagFile> files;
  for (const char* name :
       {training::kCheckpointFile, training::kReadableFile, training::kBestFile, training::kDivergenceFile,
        training::kLogFile, kRunRecordFile, kImportRecordFile, kScoresFile}) {
    files.push_back({flag, run / name});
  }
  return files;
}

}  // namespace ddpm_eval::eval
