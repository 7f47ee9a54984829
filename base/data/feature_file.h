#pragma once

#include "base/data/provenance.h"
#include "base/data/tensor_source.h"

#include <filesystem>
#include <string>

#include <ATen/core/Tensor.h>

// A matrix of features, a row for each image, as users of published tools keep them: a .npy, a member of an
// .npz (`reps` of dgm-eval, `feats` of clean-fid) or a safetensors file.
namespace ddpm_eval::data {

/// The most features in a row: the covariance of more would take above 8 GB.
inline constexpr int64_t kMostFeatures = 32'768;

struct FeatureMatrix {
  at::Tensor rows;              ///< float32 [n, d], contiguous, finite, 1 <= d <= kMostFeatures
  std::string provenance_json;  ///< how it was made, as written by this program; empty for others' files
  bool rounded = false;         ///< whether the file has float64 values that float32 has not
};

/// Whether `path` holds a matrix of features and neither images nor points, by its header: a .safetensors
/// file; a .npy of [n, d] or [n] with d other than 2; an .npz with `reps`, `feats` or `features`, or `arr_0`
/// or one array alone of [n, d]. An .npz whose `arr_0` has another rank holds images, whatever is beside
/// them. Never throws.
bool is_feature_file(const std::filesystem::path& path);

/// Reads float16, float32 or float64 [n, d] (of a safetensors file the tensor `features`, or the only one;
/// bfloat16, too), and of it the rows that `subset` names. Throws DataError for another dtype or shape, NaN,
/// infinity or what is infinite in float32, an array of no rows, and a provenance that is damaged, of another
/// number of rows or columns or of other values; UsageError for a part that is not within it.
FeatureMatrix read_features(const std::filesystem::path& path, const Subset& subset = {});

/// Writes `rows`, float32 [n, d], as a safetensors file with the tensor `features`; `provenance_json`, if
/// any, is kept in its metadata with the SHA-256 of both. Throws ResourceError.
void write_features(const std::filesystem::path& target, const at::Tensor& rows,
                    const std::string& provenance_json);

}  // namespace ddpm_eval::data
