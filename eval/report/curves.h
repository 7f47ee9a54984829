#pragma once

#include "eval/plot.h"

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

// What logs and curves on the disk come to as series of plots.
namespace ddpm_eval::eval {

/// The lines of a log. The last may be half a one, of a training that was killed or is under way. Throws
/// DataError naming file and line.
std::vector<nlohmann::ordered_json> read_log(const std::filesystem::path& path);

/// `key` over `step`, where a line has both as numbers.
std::vector<PlotPoint> log_curve(const std::vector<nlohmann::ordered_json>& log, const std::string& key);

/// At most `most` points: the means of parts of equal length, with the least and the greatest of each, or of
/// their intervals, as intervals.
std::vector<PlotPoint> thinned(const std::vector<PlotPoint>& points, size_t most = 200);

/// For each x the median of the curves that have it, with the least and the greatest as interval. A single
/// curve comes without one: intervals of its own, as the standard errors of a bound, say something else.
std::vector<PlotPoint> over_seeds(const std::vector<std::vector<PlotPoint>>& curves);

/// curve.csv of `nll`: the term of each t, or of the mean of a stratum's t, with its standard error as
/// interval. Throws DataError naming file and line.
std::vector<PlotPoint> read_bound_curve(const std::filesystem::path& path);

/// Whether a logarithmic axis shows the series: all but a few values are positive, and they span more than
/// `decades`.
bool suits_log_axis(const std::vector<PlotSeries>& series, double decades = 1);

}  // namespace ddpm_eval::eval
