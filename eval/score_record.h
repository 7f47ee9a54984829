#pragma once

#include "eval/json_reader.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// A record of `score`, `fid`, `is`, `kid` or `prdc` as pages and tables show it, each field of it checked
// once.
namespace ddpm_eval::eval {

struct ScoreInterval {
  double low = 0;  ///< at most `high`
  double high = 0;
  std::string estimand;  ///< what it is an interval of
};

/// What is known of how far a score of the samples may be off.
struct ScoreUncertainty {
  std::optional<double> standard_error;  ///< at least 0
  std::optional<double> bias;
  double level = 0;                          ///< of the intervals, in (0, 1); 0 where there are none
  std::optional<ScoreInterval> at_count;     ///< of the expected score of as many images
  std::optional<ScoreInterval> at_infinity;  ///< of the score of infinitely many
  std::string estimand;                      ///< of a standard error alone; may be empty, as the next two
  std::string method;
  std::string withheld;  ///< why there is no interval
};

/// A set of images or points with its scores.
struct ScoredSet {
  std::string role;  ///< "samples", "yardstick" or "floor"
  std::string source;
  std::optional<int64_t> count;  ///< none where it is not known
  std::map<std::string, double>
      metrics;  ///< by their keys; of some of ScoreRecord::keys, and spreads ("..._std")
};

/// Of several samples by different seeds, whose mean scores stand for them.
struct ScoreRepeats {
  int64_t count = 0;                         ///< of the samples, at least 2
  std::map<std::string, double> deviations;  ///< over the samples, for each of ScoreRecord::keys
};

struct ScoreRecord {
  /// Of the scores that have a column, in the record's order: not of a spread that is shown beside its mean.
  std::vector<std::string> keys;
  std::vector<ScoredSet> sets;  ///< the samples, then yardsticks, then the floor
  std::vector<std::pair<std::string, ScoreUncertainty>> uncertainty;  ///< by key, of the samples
  std::optional<ScoreRepeats> repeats;  ///< where the scores of the samples are means over several
  std::string reference;                ///< the real side; empty where scores have none
  std::optional<int64_t> reference_count;
  std::string features;  ///< their name; empty where a file of statistics does not say, and of points
  std::string preset;    ///< empty as `features`
  std::string kernel;    ///< of kernel distances, where it is another than KID's, as a formula
  std::vector<std::string> notes;

  /// Null where nothing is known.
  const ScoreUncertainty* uncertainty_of(const std::string& key) const;
};

/// Throws DataError that names the field for what is missing, of another type or out of its range.
ScoreRecord read_score(const JsonReader& record);

/// The formula of the kernel of a score's kernel distances where it is another than KID's, else nothing.
std::string unusual_kernel(const JsonReader& record);

/// Of "kernel_distance_mean" "kernel_distance_std", the spread that tools print beside it; else nothing.
std::string spread_key(const std::string& key);

/// "FID" for "frechet_inception_distance"; the key itself where it has no other name.
std::string metric_name(const std::string& key);

/// "KID ↓, ± standard error". Within a column ± is one thing: of repeats the deviation over the samples.
std::string score_heading(const ScoreRecord& record, const std::string& key);

/// A score of record.sets[set] with what is beside it, times `scale`, for people; "–" where there is none.
std::string score_text(const ScoreRecord& record, size_t set, const std::string& key, double scale = 1);

/// Over how many samples the scores of record.sets[set] are means; "–" of the floor, which is a median.
std::string samples_text(const ScoreRecord& record, size_t set);

/// Whether papers give the score times 1000.
bool is_kernel_distance(const std::string& key);

}  // namespace ddpm_eval::eval
