#include "eval/side_cache.h"

#include "base/core/build_info.h"
#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/paths.h"
#include "base/data/statistics_file.h"
#include "base/tensor/runtime.h"
#include "eval/console.h"
#include "eval/feature_nets.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostBytes = uint64_t{2} << 30;
constexpr size_t kPrefixDigits = 16;
constexpr const char* kContext = "cache_context";

core::Json context_of(const metrics::FeatureNetInfo& net) {
  const auto build = core::build_info();
  return {{"features", features_json(net)}, {"runtime", tensor::runtime_context()},
          {"version", build.version},       {"commit", build.commit},
          {"build_type", build.build_type}, {"compiler", build.compiler}};
}

}  // namespace

bool cache_is_on(const Session& session) {
  const char* word = std::getenv("DDPM_EVAL_CACHE");
  return session.cache && (word == nullptr || std::string_view(word) != "off");
}

fs::path moments_cache_folder() { return core::home_folder() / "cache" / "moments"; }

SideCache::SideCache(const metrics::FeatureNetInfo& net) : context_(context_of(net)) {
  const auto text = context_.dump();
  prefix_ = core::sha256_hex({text.data(), text.size()}).substr(0, kPrefixDigits) + "-";
}

fs::path SideCache::path_of(const std::string& pixels) const {
  return moments_cache_folder() / (prefix_ + pixels + ".npz");
}

bool SideCache::has_any() const {
  const auto entries = cache_entries();
  return std::ranges::any_of(
      entries, [&](const CacheEntry& entry) { return entry.path.filename().string().starts_with(prefix_); });
}

std::optional<metrics::Moments> SideCache::find(const std::string& pixels) const {
  const auto path = path_of(pixels);
  std::error_code error;
  if (!fs::exists(path, error)) {
    return std::nullopt;
  }
  try {
    auto statistics = data::read_statistics(path);
    const auto provenance = core::Json::parse(statistics.provenance_json);
    if (provenance.at(kContext) != context_) {
      throw core::DataError("{}: is of another context than its name says", path.string());
    }
    fs::last_write_time(path, fs::file_time_type::clock::now(), error);  // a read-only cache serves as well
    return metrics::Moments{
        std::move(statistics.mu), std::move(statistics.sigma), provenance.at("count").get<int64_t>(), {}};
  } catch (const core::DataError& damage) {
    print_warning(fmt::format("{}; measured anew", damage.what()));
  } catch (const core::Json::exception&) {
    print_warning(fmt::format("{}: its provenance is damaged; measured anew", path.string()));
  }
  return std::nullopt;
}

void SideCache::keep(const std::string& pixels, const metrics::Moments& moments,
                     const core::Json& source) const {
  DDPM_CHECK(!moments.centred.defined(), "moments of {} vectors lose their rows", moments.count);
  auto record = core::new_record("statistics");
  record["features"] = context_["features"];
  record["count"] = moments.count;
  record["data"] = source;
  record[kContext] = context_;
  const auto path = path_of(pixels);
  try {
    core::make_folders(path.parent_path());
    data::write_statistics(path, {moments.mean, moments.covariance, core::json_text(record), path.string()});
    remove_cache_entries([](const CacheEntry&, uint64_t bytes) { return bytes > kMostBytes; });
  } catch (const core::ResourceError& problem) {
    print_warning(fmt::format("the cache does not keep these moments: {}", problem.what()));
  }
}

std::vector<CacheEntry> cache_entries() {
  std::vector<CacheEntry> entries;
  std::error_code error;
  for (fs::directory_iterator it(moments_cache_folder(), error), end; !error && it != end;
       it.increment(error)) {
    std::error_code gone;  // by another process
    CacheEntry entry{it->path(), it->file_size(gone), it->last_write_time(gone)};
    if (!gone && entry.path.extension() == ".npz") {
      entries.push_back(std::move(entry));
    }
  }
  std::ranges::sort(entries, [](const CacheEntry& a, const CacheEntry& b) {
    return a.used != b.used ? a.used > b.used : a.path < b.path;
  });
  return entries;
}

int64_t remove_cache_entries(const std::function<bool(const CacheEntry& entry, uint64_t bytes)>& goes) {
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
