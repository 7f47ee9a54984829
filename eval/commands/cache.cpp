#include "base/core/json.h"
#include "base/data/statistics_file.h"
#include "eval/command.h"
#include "eval/comparability.h"
#include "eval/console.h"
#include "eval/output.h"
#include "eval/side_cache.h"

#include <chrono>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

constexpr double kSecondsOfDay = 24 * 3600;
constexpr int64_t kMostDays = 36'500;

double days_unused(const CacheEntry& entry) {
  const auto age = std::filesystem::file_time_type::clock::now() - entry.used;
  return std::chrono::duration<double>(age).count() / kSecondsOfDay;
}

/// What an entry is of; a damaged one says so.
core::Json entry_record(const CacheEntry& entry) {
  core::Json record{
      {"file", entry.path.string()}, {"bytes", entry.bytes}, {"days_unused", days_unused(entry)}};
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
    print_line("{} images of {}, {} ({}): {:.1f} MB, used {:.0f} days ago", entry["count"].get<int64_t>(),
               entry["source"].get<std::string>(), text_field(entry["features"], "name"),
               text_field(entry["features"], "preset"), entry["bytes"].get<double>() / 1e6,
               entry["days_unused"].get<double>());
  }
  print_line("{}: {} entries, {:.1f} MB", moments_cache_folder().string(), record["entries"].size(),
             static_cast<double>(bytes) / 1e6);
}

void prune(int64_t days) {
  const auto removed = remove_cache_entries([&](const CacheEntry& entry, uint64_t) {
    return days == 0 || days_unused(entry) >= static_cast<double>(days);
  });
  print_line("{}: {} entries removed", moments_cache_folder().string(), removed);
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
  remove->add_option("--unused-for", *days, "Days; 0 removes all")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, kMostDays));
  remove->callback([days, &session] { session.action = [days] { prune(*days); }; });
}

}  // namespace ddpm_eval::eval
