#pragma once

#include "base/core/record.h"
#include "base/data/image_source.h"
#include "base/data/row_store.h"
#include "base/data/source_spec.h"
#include "eval/command.h"
#include "eval/precision_effect.h"
#include "metrics/extract.h"
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
  bool keep_logits = false;    ///< for an Inception Score
  int64_t splits = 0;          ///< of that score: so many images are needed
  bool keep_features = false;  ///< for scores that compare images one by one
  bool spatial = false;        ///< the moments of spatial features too, which the network gives then
  bool labels = false;         ///< which class each image is of
  bool once = false;           ///< the images are read once, all of them
};

/// One side, measured.
struct Side {
  metrics::Moments moments;
  std::optional<metrics::Moments> spatial;  ///< of the spatial features, if they were asked for
  data::RowStore logits;  ///< [count, classes] in the source's order, if they were asked for
  at::Tensor features;    ///< float32 [count, dim] in the source's order, if they were asked for; always of a
                          ///< file of features
  at::Tensor labels;      ///< int64 [count] in [0, classes.count), if they were asked for
  data::Classes classes;  ///< as `labels`
  PrecisionControl control;  ///< of images, where an exact network was given
  Json record;      ///< source, count, unreadable files, notes, times: its part of the score's record
  Json provenance;  ///< kept in a file of statistics or features; null for images and for other tools' files
};

/// Whether `source` is a statistics file, which needs no network.
bool is_statistics(const std::string& source);

/// Reads a statistics file: of one that holds two kinds, those of the `features` that are asked for. Throws
/// UsageError where spatial ones are asked for beside them and are not there, and NotComparableError where
/// the file says that it is of another network than the FID Inception, which alone has them.
Side read_side(const SideRequest& request, const std::string& features);

/// Opens an image source of any kind, `run:` included. Throws UsageError or DataError before any work is
/// done.
std::unique_ptr<data::ImageSource> open_images(const SideRequest& request);

/// What a record says of a side that has been read. Prints warnings for unreadable files. Throws DataError
/// for fewer images than a covariance (two) or an Inception Score needs.
Json side_record(const SideRequest& request, const data::ImageSource& images,
                 const metrics::ExtractReport& report);

/// Drains the images through `net`, the first of them through `exact`, too, if there is one. Where moments
/// are all that is wanted and the session has a cache, they may come from there (eval/side_cache.h). Warns
/// and throws as side_record().
Side measure_side(const SideRequest& request, data::ImageSource& images, const metrics::FeatureNet& net,
                  const Session& session, const metrics::FeatureNet* exact = nullptr);

}  // namespace ddpm_eval::eval
