#pragma once

#include "base/core/record.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {

/// One line of scores.jsonl.
struct ScoreEntry {
  int64_t step = 0;
  std::optional<double> value;  ///< lower is better; none where it could not be had
  std::string problem;          ///< why not
};

/// The scores of a run under training: one JSON object a line, each with all that its number depends on. No
/// line has a time in it, so that a resumed run writes the bytes of an unbroken one.
class ScoreLog {
 public:
  /// Whether the value that a line has for a key says the same as that of the context.
  using Same = std::function<bool(const std::string& key, const core::Json& stored, const core::Json& here)>;

  /// Keeps the lines up to and including `step` of what is in the file and drops the rest. `context` is what
  /// every number of the run depends on; throws UsageError naming the first key in which a line that is kept
  /// differs, by `same` if there is one, and ResourceError.
  ScoreLog(std::filesystem::path path, core::Json context, int64_t step, const Same& same = {});

  bool has(int64_t step) const;
  int64_t count() const { return static_cast<int64_t>(entries_.size()); }

  /// The lowest score, the earliest of equal ones.
  const ScoreEntry* best() const;

  /// Adds a line: step, value or null with the problem, whether it is the best so far, the context. Steps
  /// must ascend. Throws ResourceError.
  void append(const ScoreEntry& entry);

 private:
  /// The entry of a line that was written whole, or none.
  std::optional<ScoreEntry> parse(std::string_view line) const;

  std::filesystem::path path_;
  core::Json context_;
  std::vector<ScoreEntry> entries_;
};

}  // namespace ddpm_eval::eval
