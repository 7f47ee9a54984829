#include "eval/side_cache.h"

#include "base/core/digest.h"
#include "base/core/environment.h"
#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/paths.h"
#include "base/core/temporary_name.h"
#include "base/data/statistics_file.h"
#include "base/tensor/runtime.h"
#include "eval/console.h"
#include "eval/feature_nets.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <utility>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostBytes = uint64_t{2} << 30;
constexpr size_t kShortDigits = 16;
constexpr const char* kContext = "cache_context";
constexpr const char* kImages = "cache_images_sha256";

/// A commit would not do: two builds of a changed tree have the same.
const std::string& program_sha256() {
  static const std::string digest = core::sha256_of_file("/proc/self/exe");
  return digest;
}

core::Json context_of(const metrics::FeatureNetInfo& net) {
  auto features = features_json(net);
  features.erase("note");  // which names a file
  return {{"features", std::move(features)},
          {"runtime", tensor::runtime_context()},
          {"program_sha256", program_sha256()}};
}

/// Whether SideCache::path_of() gives such names. Other files in the folder are not ours to remove.
bool is_entry_name(const std::string& name) {
  constexpr size_t kLength = 2 * (kShortDigits + 1) + 64;
  if (name.size() != kLength + 4 || !name.ends_with(".npz")) {
    return false;
  }
  for (size_t i = 0; i < kLength; ++i) {
    const bool dash = i == kShortDigits || i == 2 * kShortDigits + 1;
    const char c = name[i];
    if (dash ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
      return false;
    }
  }
  return true;
}

void warn_once(const std::string& text) {
  static std::once_flag told;
  std::call_once(told, [&] { print_warning(text); });
}

}  // namespace

bool cache_is_on(const Session& session) {
  return session.cache && !core::is_switched_off("DDPM_EVAL_CACHE") &&
         (!core::environment_value("DDPM_EVAL_HOME").empty() || !core::environment_value("HOME").empty());
}

fs::path moments_cache_folder() { return core::home_folder() / "cache" / "moments"; }

SideCache::SideCache(const metrics::FeatureNetInfo& net) : context_(context_of(net)) {
  const auto text = context_.dump();
  prefix_ = core::sha256_hex({text.data(), text.size()}).substr(0, kShortDigits) + "-";
}

fs::path SideCache::path_of(const ImagesKey& images) const {
  return moments_cache_folder() / (prefix_ + images.head.substr(0, kShortDigits) + "-" + images.all + ".npz");
}

bool SideCache::has_any(const std::string& head) const {
  const auto begin = prefix_ + head.substr(0, kShortDigits);
  return std::ranges::any_of(cache_entries(), [&](const CacheEntry& entry) {
    return entry.path.filename().string().starts_with(begin);
  });
}

std::optional<metrics::Moments> SideCache::find(const ImagesKey& images) const {
  const auto path = path_of(images);
  std::error_code error;
  if (!fs::exists(path, error)) {
    return std::nullopt;
  }
  try {
    auto statistics = data::read_statistics(path);
    const auto provenance = core::Json::parse(statistics.provenance_json);
    if (provenance.at(kContext) != context_ || provenance.at(kImages) != images.all) {
      throw core::DataError("{}: is of another context or of other images than its name says", path.string());
    }
    fs::last_write_time(path, fs::file_time_type::clock::now(), error);  // a read-only cache serves as well
    return metrics::Moments{
        std::move(statistics.mu), std::move(statistics.sigma), provenance.at("count").get<int64_t>(), {}};
  } catch (const core::DataError& damage) {
    if (!fs::exists(path, error)) {  // another process has removed it
      return std::nullopt;
    }
    print_warning(fmt::format("{}; measured anew", damage.what()));
  } catch (const core::Json::exception&) {
    print_warning(fmt::format("{}: its provenance is damaged; measured anew", path.string()));
  }
  return std::nullopt;
}

void SideCache::keep(const ImagesKey& images, const metrics::Moments& moments,
                     const core::Json& source) const {
  DDPM_CHECK(!moments.centred.defined(), "moments of {} vectors lose their rows", moments.count);
  if (context_["runtime"] != tensor::runtime_context()) {
    return;  // batches were halved meanwhile: other last bits than the context promises
  }
  auto record = core::new_record("statistics");
  record["features"] = context_["features"];
  record["count"] = moments.count;
  record["data"] = source;
  record[kContext] = context_;
  record[kImages] = images.all;
  const auto path = path_of(images);
  try {
    core::make_folders(path.parent_path());
    data::write_statistics(path, {moments.mean, moments.covariance, core::json_text(record), path.string()});
  } catch (const core::ResourceError& problem) {
    warn_once(fmt::format("the cache does not keep these moments: {}", problem.what()));
    return;
  }
  try {
    remove_cache_entries([](const CacheEntry&, uint64_t bytes) { return bytes > kMostBytes; });
  } catch (const core::ResourceError& problem) {
    warn_once(fmt::format("the cache grows beyond {} GiB: {}", kMostBytes >> 30, problem.what()));
  }
}

void require_readable_cache() {
  std::error_code error;
  const fs::directory_iterator first(moments_cache_folder(), error);
  if (error && error != std::errc::no_such_file_or_directory) {
    throw core::DataError("{}: cannot be read: {}; $DDPM_EVAL_HOME names the folder that it lies in",
                          moments_cache_folder().string(), error.message());
  }
}

std::vector<CacheEntry> cache_entries() {
  std::vector<CacheEntry> entries;
  std::error_code error;
  // Clocks of machines that share a cache differ a little.
  const auto latest = fs::file_time_type::clock::now() + std::chrono::days(1);
  for (fs::directory_iterator it(moments_cache_folder(), error), end; !error && it != end;
       it.increment(error)) {
    std::error_code no_size, no_time;  // of one that another process has removed
    CacheEntry entry{it->path(), it->file_size(no_size), it->last_write_time(no_time)};
    if (no_size || no_time || !is_entry_name(entry.path.filename().string())) {
      continue;
    }
    if (entry.used > latest) {
      entry.used = CacheEntry::kUnknown;
    }
    entries.push_back(std::move(entry));
  }
  std::ranges::sort(entries, [](const CacheEntry& a, const CacheEntry& b) {
    return a.used != b.used ? a.used > b.used : a.path < b.path;
  });
  return entries;
}

int64_t remove_cache_entries(const std::function<bool(const CacheEntry& entry, uint64_t bytes)>& goes) {
  std::error_code unreadable;
  for (fs::directory_iterator it(moments_cache_folder(), unreadable), end; !unreadable && it != end;
       it.increment(unreadable)) {
    if (core::TemporaryName::is_one(it->path().filename().string())) {
      core::TemporaryName::remove_abandoned(it->path());
    }
  }
  const auto entries = cache_entries();
  uint64_t bytes = 0;
  for (const auto& entry : entries) {
    bytes += entry.bytes;
  }
  int64_t removed = 0;
  for (auto entry = entries.rbegin(); entry != entries.rend() && goes(*entry, bytes); ++entry) {
    std::error_code error;
    if (!fs::remove(entry->path, error) && error) {
      throw core::ResourceError("{}: cannot be removed: {}", entry->path.string(), error.message());
    }
    bytes -= entry->bytes;
    ++removed;
  }
  return removed;
}

}  // namespace ddpm_eval::eval
