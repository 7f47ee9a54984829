#pragma once

#include <cstdint>
#include <string>

// What this program says in a file of its own about how the numbers in it were made: an object with
// "features", an object with "name", and "count".
namespace ddpm_eval::data {

/// The most images that a file may be said to be of. A count beyond is damage.
inline constexpr int64_t kMostCounted = INT64_C(1'000'000'000'000);

/// The member of an .npz, or the key of a safetensors file's metadata, that holds it.
inline constexpr auto kProvenanceMember = "provenance.json";

/// Whose provenance it is, in the words of messages.
struct ProvenanceOwner {
  std::string file;    ///< its path
  const char* what;    ///< "statistics"
  const char* vector;  ///< what has `dim` numbers: "mu"
};

/// Damaged provenance must not pass for none, which would switch off the comparison of features: throws
/// DataError unless `text` is of a schema that is known and says which features were used, not others than
/// `dim`, a count of 2 .. kMostCounted if any, and of merged statistics parts that belong to it: each with
/// its file, its count and the SHA-256 of its mean, none twice, with as many images together as its own
/// count. No more images may be from lossy files than there are.
void check_provenance(const std::string& text, int64_t dim, const ProvenanceOwner& owner);

}  // namespace ddpm_eval::data
