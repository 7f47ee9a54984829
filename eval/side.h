#pragma once

#include "base/core/record.h"
#include "base/data/source_spec.h"
#include "eval/command.h"
#include "eval/precision_effect.h"
#include "metrics/feature_net.h"
#include "metrics/moments.h"

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {

using core::Json;

/// What is wanted of one side of a score besides its moments.
struct SideRequest {
  std::string role;    ///< "real" or "fake", for messages
  std::string source;  ///< as the user wrote it
  bool strict = false;
  bool keep_logits = false;  ///< for an Inception Score
  int64_t splits = 0;        ///< of that score: so many images are needed
};

/// One side, measured.
struct Side {
  metrics::Moments moments;
  at::Tensor logits;         ///< float32 [count, classes] in the source's order, if they were asked for
  PrecisionControl control;  ///< of images, where an exact network was given
  Json record;      ///< source, count, unreadable files, notes, times: its part of the score's record
  Json provenance;  ///< kept in a statistics file; null for images and for other tools' files
};

/// Whether `source` is a statistics file, which needs no network.
bool is_statistics(const std::string& source);

/// Reads a statistics file: of one that holds two kinds, those of the `features` that are asked for.
Side read_side(const SideRequest& request, const std::string& features);

/// Opens an image source of any kind, `run:` included. Throws UsageError or DataError before any work is
/// done.
std::unique_ptr<data::ImageSource> open_images(const SideRequest& request);

/// Drains the images through `net`, the first of them through `exact`, too, if there is one. Prints warnings
/// for unreadable files. Throws DataError for fewer images than a covariance (two) or the splits of an
/// Inception Score need.
Side measure_side(const SideRequest& request, data::ImageSource& images, const metrics::FeatureNet& net,
                  const Session& session, const metrics::FeatureNet* exact = nullptr);

}  // namespace ddpm_eval::eval
