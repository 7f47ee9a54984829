#pragma once

#include "base/core/record.h"
#include "eval/command.h"
#include "metrics/feature_net.h"
#include "metrics/moments.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

// Moments that were measured before, found by what they depend on: the pixels, and not a name or a date. An
// entry is a statistics file that appears whole and never changes, so that several processes may share them.
namespace ddpm_eval::eval {

/// Whether what is measured is kept and looked for: unless --no-cache or $DDPM_EVAL_CACHE (off, 0,
/// false or no, in any case) say otherwise, and where there is a home to keep it in ($DDPM_EVAL_HOME or
/// $HOME).
bool cache_is_on(const Session& session);

/// cache/moments below core::home_folder().
std::filesystem::path moments_cache_folder();

/// What images are found by: data::DigestSource's digests of the first of them and of all.
struct ImagesKey {
  std::string head;
  std::string all;
};

/// The entries of one feature network, with the weights, preset, precision, threads, BLAS, LibTorch,
/// instruction set and device of this process and the bytes of this program: whatever may move a bit.
class SideCache {
 public:
  explicit SideCache(const metrics::FeatureNetInfo& net);

  /// Whether there is an entry of images that begin so; with nothing, of any images. Else there is nothing to
  /// look for.
  bool has_any(const std::string& head = {}) const;

  /// The moments of these images, to the bit as they were measured. A damaged entry is told and counts as
  /// none.
  std::optional<metrics::Moments> find(const ImagesKey& images) const;

  /// Keeps moments without `centred`; `source` is what they are of, for people. Entries that were not used
  /// for longest go where all of them would take more than 2 GiB. What cannot be written is told once and is
  /// no error.
  void keep(const ImagesKey& images, const metrics::Moments& moments, const core::Json& source) const;

 private:
  std::filesystem::path path_of(const ImagesKey& images) const;

  core::Json context_;
  std::string prefix_;  ///< of the entries' names
};

struct CacheEntry {
  std::filesystem::path path;
  uint64_t bytes = 0;
  std::filesystem::file_time_type used;  ///< when it was made or last found, or kUnknown

  /// Of one whose file is of the future: a clock was wrong.
  static constexpr auto kUnknown = std::filesystem::file_time_type::min();
};

/// Throws DataError that names the folder if it is there and cannot be read, or something that is no folder
/// is in its way.
void require_readable_cache();

/// Those of all networks, the last used first. Files of other names than entries have are none.
std::vector<CacheEntry> cache_entries();

/// Removes entries, the least recently used first, as long as `goes` is true of one and of the bytes that it
/// and all before it in cache_entries() take, and what killed processes have left half written; how many
/// entries went. Throws ResourceError.
int64_t remove_cache_entries(const std::function<bool(const CacheEntry& entry, uint64_t bytes)>& goes);

}  // namespace ddpm_eval::eval
