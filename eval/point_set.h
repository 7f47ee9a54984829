#pragma once

#include "base/core/record.h"
#include "base/data/source_spec.h"
#include "eval/command.h"

#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {

/// Of a made-up set, where nothing says how many.
inline constexpr int64_t kDefaultPoints = 2000;

/// Points in the plane, as one side of a score.
struct PointSet {
  at::Tensor points;  ///< float32 [n, 2]
  std::string kind;   ///< of a generated set; empty for a file or a run
  core::Json record;  ///< source, count, seed or context: its part of the score's record
};

/// Whether a source is points for certain: a known set, or an .npy file of two dimensions rather than an
/// image's three or four. A run is what the other side is.
bool holds_points(const data::SourceSpec& spec);

/// Opens an .npy file, draws from a run, or makes a known set, of `other_count` points if it does not say how
/// many. Throws UsageError for fewer than two, DataError for a file that holds something else.
PointSet open_points(const std::string& source, int64_t other_count, const Session& session);

}  // namespace ddpm_eval::eval
