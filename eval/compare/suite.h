#pragma once

#include "eval/json_reader.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

// What a benchmark suite has measured of one build: a record of kind "suite", described in
// docs/benchmarks.md.
namespace ddpm_eval::eval {

/// The version of a suite's layout. Readers refuse a newer one.
inline constexpr int64_t kSuiteSchema = 1;

/// As many repetitions as a series may have: comparing takes the square of them.
inline constexpr size_t kMaxRepetitions = 1000;
/// As many series as a suite may have, and bytes of their names: a table is as wide as the longest of them.
inline constexpr size_t kMaxSeries = 10'000;
inline constexpr size_t kMaxNameBytes = 200;
/// Beyond these a ratio of two is no number.
inline constexpr double kLeastRepetition = 1e-100;
inline constexpr double kMostRepetition = 1e100;

enum class SeriesKind {
  kSpeed,    ///< times or rates
  kMemory,   ///< sizes
  kNull,     ///< times or rates of work that no change of the code touches: what differs is noise
  kQuality,  ///< one number that the same build gives again, with its tolerance
  kHash,     ///< a digest of results, by instruction set
};

/// "speed", as in the file.
std::string kind_name(SeriesKind kind);

/// By how much a quality number may differ.
struct Tolerance {
  double size = 0;
  bool relative = false;    ///< `size` is a share of the baseline's value
  bool either_way = false;  ///< a change for the better counts as well
  bool operator==(const Tolerance&) const = default;
};

struct SuiteSeries {
  std::string name;
  SeriesKind kind = SeriesKind::kSpeed;
  std::string unit;  ///< empty for hashes
  bool higher_is_better = false;
  std::vector<double> repetitions;  ///< of speed, memory and null: at least one, positive, as measured
  double value = 0;                 ///< of quality
  Tolerance tolerance;
  std::map<std::string, std::string> hashes;  ///< by instruction set; at least one
  /// Of speed: the null subject that is work of its kind; empty: whichever is the loudest.
  std::string null_subject;
  /// Of quality and hash, beside the suite's: seed, counts, features ...; numbers of others are not compared.
  std::map<std::string, std::string> context;
};

struct Suite {
  std::string file;
  std::string time;     ///< UTC, as 2026-11-26T02:00:00Z
  std::string commit;   ///< what was measured
  std::string session;  ///< suites of one session were measured in turn; empty: of none
  std::string compiler;
  std::optional<double> load;  ///< of other programs, before the first measurement
  /// What numbers depend on beside the code, by its key in the file: differences make them incomparable.
  std::vector<std::pair<std::string, std::string>> context;
  std::vector<SuiteSeries> series;
};

/// Throws DataError naming file, series and key for what is not such a record, for a name that is there twice
/// and for values that cannot be.
Suite read_suite(const std::filesystem::path& path);

/// The element of `series` at this index.
SuiteSeries read_suite_series(const JsonReader& series, size_t index);

}  // namespace ddpm_eval::eval
