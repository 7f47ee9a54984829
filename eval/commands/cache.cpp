#include "base/core/json.h"
#include "base/data/statistics_file.h"
#include "eval/command.h"
#include "eval/comparability.h"
#include "eval/console.h"
#include "eval/output.h"
#include "eval/side_cache.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

constexpr double kSecondsOfDay = 24 * 3600;
constexpr int64_t kMostDays = 36'500;

/// "1 entry", "2 entries".
std::string counted(int64_t count, const char* one, const char* many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

/// Nothing where it is not known; of an entry that was just made, 0 whatever the file system's clock says.
std::optional<double> days_unused(const CacheEntry& entry) {
  if (entry.used == CacheEntry::kUnknown) {
    return std::nullopt;
  }
  const auto age = std::filesystem::file_time_type::clock::now() - entry.used;
  return std::max(0.0, std::chrono::duration<double>(age).count() / kSecondsOfDay);
}

/// What an entry is of; a damaged one says so.
core::Json entry_record(const CacheEntry& entry) {
  core::Json record{{"file", entry.path.string()}, {"bytes", entry.bytes}};
  if (const auto days = days_unused(entry)) {
    record["days_unused"] = *days;
  }
  try {
    const auto provenance = core::parse_json(data::read_provenance(entry.path), core::kMaxEmbeddedJsonDepth);
    record["source"] = text_field(provenance.at("data"), "source");
    record["count"] = provenance.at("count").get<int64_t>();
    record["features"] = provenance.at("features");
  } catch (const std::exception& damage) {
    record["damage"] = damage.what();
  }
  return record;
}

void list(const std::string& json) {
  require_readable_cache();
  auto record = core::new_record("cache");
  record["folder"] = moments_cache_folder().string();
  record["entries"] = core::Json::array();
  uint64_t bytes = 0;
  for (const auto& entry : cache_entries()) {
    record["entries"].push_back(entry_record(entry));
    bytes += entry.bytes;
  }
  record["bytes"] = bytes;
  if (write_json(json, record)) {
    return;
  }
  for (const auto& entry : record["entries"]) {
    if (entry.contains("damage")) {
      print_line("{}: damaged", entry["file"].get<std::string>());
      continue;
    }
    const auto days = entry.find("days_unused");
    const auto used = days == entry.end()
                          ? std::string("last used at an unknown time (the file is of the future)")
                          : "used " + counted(std::llround(days->get<double>()), "day", "days") + " ago";
    print_line("{} images of {}, {} ({}): {:.1f} MB, {}", entry["count"].get<int64_t>(),
               entry["source"].get<std::string>(), text_field(entry["features"], "name"),
               text_field(entry["features"], "preset"), entry["bytes"].get<double>() / 1e6, used);
  }
  print_line("{}: {}, {:.1f} MB", moments_cache_folder().string(),
             counted(static_cast<int64_t>(record["entries"].size()), "entry", "entries"),
             static_cast<double>(bytes) / 1e6);
}

void prune(int64_t days) {
  require_readable_cache();
  const auto removed = remove_cache_entries([&](const CacheEntry& entry, uint64_t) {
    const auto unused = days_unused(entry);
    return days == 0 || !unused || *unused >= static_cast<double>(days);
  });
  print_line("{}: {} removed", moments_cache_folder().string(), counted(removed, "entry", "entries"));
}

}  // namespace

void add_cache_command(CLI::App& program, Session& session) {
  auto* cache =
      program.add_subcommand("cache", "Moments of images that were measured before: list or remove them");
  cache->require_subcommand(1);
  auto* all = cache->add_subcommand("list", "What is kept, the last used first");
  auto json = std::make_shared<std::string>();
  add_json_option(*all, *json);
  all->callback([json, &session] { session.action = [json] { list(*json); }; });
  auto* remove = cache->add_subcommand("prune", "Remove what was not used for long");
  auto days = std::make_shared<int64_t>(30);
  remove->add_option("--unused-for", *days, "Days; 0 removes all. What is of the future goes in any case")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, kMostDays));
  remove->callback([days, &session] { session.action = [days] { prune(*days); }; });
}

}  // namespace ddpm_eval::eval
