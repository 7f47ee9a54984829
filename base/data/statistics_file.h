#pragma once

#include "base/data/image_array_writer.h"
#include "base/data/provenance.h"
#include "base/data/zip_writer.h"

#include <filesystem>
#include <optional>
#include <string>

#include <ATen/core/Tensor.h>

// Mean and covariance of features as pytorch-fid, TTUR, clean-fid, EDM and others exchange them: an .npz with
// the keys `mu` and `sigma`.
namespace ddpm_eval::data {

struct Statistics {
  at::Tensor mu;                ///< float64 [d]
  at::Tensor sigma;             ///< float64 [d, d], symmetric, finite, no negative variance
  std::string provenance_json;  ///< how it was made, as written by this program: an object with "features",
                                ///< an object with "name", and "count"; empty for other tools' files
  std::string name;             ///< the file's path
};

/// Of the FID Inception's spatial features.
struct SpatialStatistics {
  at::Tensor mu;     ///< float64 [2023]
  at::Tensor sigma;  ///< float64 [2023, 2023]
};

/// Which statistics of a file: ADM's hold those of its spatial features, for sFID, beside pool3's.
enum class StatisticsPart {
  kMain,     ///< `mu` and `sigma`
  kSpatial,  ///< `mu_s` and `sigma_s` if the file has either, else as kMain
};

/// Whether `path` is a readable .npz that holds `mu` and `sigma`, or one of them and no images; the same of
/// `mu_s` and `sigma_s`. Never throws.
bool is_statistics_file(const std::filesystem::path& path);

/// Reads float32 or float64 in any mix; other keys are ignored. What the file says of its making is of `mu`,
/// and left out beside `mu_s`. Throws DataError for a missing key, shapes that do not belong together, a
/// value that is not finite, or a sigma that is not symmetric to tensor::kSymmetryTolerance or has a negative
/// variance, and for a provenance that is there but says no features, others than mu has or a count outside
/// 2 .. kMostCounted, is of a newer schema, or has parts (of merged statistics) without file, count or the
/// SHA-256 of their mean, twice, or of other counts together than its own.
Statistics read_statistics(const std::filesystem::path& path, StatisticsPart part = StatisticsPart::kMain);

/// Whether there is an `arr_0` of images beside the statistics, as in ADM's references. Never throws.
bool holds_images_too(const std::filesystem::path& path);

/// Whether the file holds `mu_s` or `sigma_s`. Throws DataError where it is no .npz.
bool holds_spatial_statistics(const std::filesystem::path& path);

/// The provenance of a statistics file, without its numbers; empty where it has none. Throws DataError.
std::string read_provenance(const std::filesystem::path& path);

/// Writes `mu` and `sigma` in float64 and, if there is any, `provenance_json` as the member
/// "provenance.json", which the other tools ignore; of `spatial`, if there are any, `mu_s` and `sigma_s`, as
/// ADM's files hold them. Throws ResourceError.
void write_statistics(const std::filesystem::path& target, const Statistics& statistics,
                      const std::optional<SpatialStatistics>& spatial = std::nullopt);

/// The same with the images that they are of as `arr_0`: what ADM's evaluator takes as a reference. The file
/// appears on finish(); memory does not depend on the number of images.
class ReferenceWriter {
 public:
  explicit ReferenceWriter(const std::filesystem::path& target);

  /// As ImageArrayWriter::add().
  void add(const at::Tensor& images_u8) { images_.add(images_u8); }

  /// As write_statistics(); DataError where there were no images.
  void finish(const Statistics& statistics, const std::optional<SpatialStatistics>& spatial);

 private:
  ZipWriter zip_;
  ImageArrayWriter images_;
};

}  // namespace ddpm_eval::data
