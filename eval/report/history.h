#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

// Measurements over time, as a nightly job appends them: one JSON object a line, described in docs/report.md.
namespace ddpm_eval::eval {

/// The version of a line's layout. Readers refuse a newer one.
inline constexpr int64_t kHistorySchema = 1;

/// What was measured, with its noise.
struct HistoryValue {
  std::string name;
  std::string unit;
  bool higher_is_better = false;
  double median = 0;
  double low = 0;  ///< low <= median <= high
  double high = 0;
  int64_t count = 0;  ///< measurements, at least 1
};

/// One line.
struct HistoryEntry {
  int64_t time = 0;  ///< seconds since 1970, UTC
  std::string time_text;
  std::string commit;
  /// Processor, threads and build, and if they are given instruction set, LibTorch, a device other than the
  /// processor and a precision other than float32: only numbers of one context are compared.
  std::string context;
  std::vector<HistoryValue> values;
};

/// The lines of a .jsonl file, or of all *.jsonl of a folder, in the order of time. Throws DataError naming
/// file and line for what is not such a line, for a name that is twice in one line, and for a series whose
/// unit or direction changes.
std::vector<HistoryEntry> read_history(const std::filesystem::path& path);

}  // namespace ddpm_eval::eval
