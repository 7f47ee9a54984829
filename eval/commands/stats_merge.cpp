#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/record.h"
#include "base/data/statistics_file.h"
#include "eval/command.h"
#include "eval/comparability.h"
#include "eval/console.h"
#include "eval/distinct_files.h"
#include "eval/feature_nets.h"
#include "eval/output.h"
#include "eval/side.h"

#include <filesystem>
#include <map>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

struct MergeOptions {
  std::vector<std::string> parts;
  std::string out;
  std::string json;
};

/// A file whose moments can be weighed and whose features are known.
Side read_part(const std::string& file) {
  auto part = read_side({.role = "part", .source = file}, "");
  if (part.provenance.is_null() || part.moments.count == 0) {
    throw core::DataError("{}: does not say how many images it is of; make it with `ddpm-eval stats`", file);
  }
  if (part.moments.count < 2) {
    throw core::DataError("{}: is of 1 image, which has no covariance", file);
  }
  return part;
}

Json part_record(const std::string& file, const Side& part) {
  Json record{{"file", file}, {"count", part.moments.count}};
  for (const char* key : {"data", "parts"}) {
    if (part.provenance.contains(key)) {
      record[key] = part.provenance[key];
    }
  }
  return record;
}

/// A part that is there twice would count twice.
void require_no_repeats(const std::vector<std::string>& parts) {
  std::map<std::filesystem::path, std::string> seen;
  for (const auto& part : parts) {
    std::error_code error;
    const auto [first, is_new] = seen.emplace(std::filesystem::weakly_canonical(part, error), part);
    if (!is_new) {
      throw core::UsageError("{}: is {} once more; each part counts once", part, first->second);
    }
  }
}

void run_merge(const MergeOptions& options) {
  std::vector<FlagFile> inputs;
  for (const auto& part : options.parts) {
    inputs.push_back({"a part", part});
  }
  require_distinct({{"--out", options.out}, {"--json", options.json}}, inputs);
  require_json_target(options.json);
  core::require_writable(options.out);
  require_no_repeats(options.parts);
  auto record = core::new_record("statistics");
  Side all;
  Json parts = Json::array();
  std::vector<at::Tensor> means;
  for (const auto& file : options.parts) {
    auto part = read_part(file);
    parts.push_back(part_record(file, part));
    if (parts.size() == 1) {
      means.push_back(part.moments.mean.clone());  // that of `all` changes
      all = std::move(part);
      continue;
    }
    const auto& first = options.parts.front();
    if (const auto differences =
            feature_differences(provenance_features(all), provenance_features(part), first, file);
        !differences.empty()) {
      throw core::NotComparableError("{}", differences.front());
    }
    if (part.moments.mean.sizes() != all.moments.mean.sizes()) {
      throw core::NotComparableError("{} is of {} features, {} of {}", first, all.moments.mean.size(0), file,
                                     part.moments.mean.size(0));
    }
    for (size_t i = 0; i < means.size(); ++i) {
      if (at::equal(means[i], part.moments.mean)) {
        throw core::DataError("{}: is of the images of {}, by its mean; each part counts once", file,
                              options.parts[i]);
      }
    }
    means.push_back(part.moments.mean);
    metrics::merge(all.moments, part.moments);
  }
  record["features"] = provenance_features(all);
  add_preset(record["features"], record);
  record["count"] = all.moments.count;
  record["parts"] = std::move(parts);
  data::write_statistics(options.out,
                         {all.moments.mean, all.moments.covariance, core::json_text(record), options.out});
  if (!write_json(options.json, record)) {
    print_line("{}: mu and sigma of {} images in {} parts", options.out, all.moments.count,
               options.parts.size());
  }
}

}  // namespace

void add_stats_merge_command(CLI::App& stats, Session& session) {
  auto* command = stats.add_subcommand("merge", "The statistics of several sets' images together");
  auto options = std::make_shared<MergeOptions>();
  command->add_option("parts", options->parts, "Statistics files made by `stats`, two or more")
      ->required()
      ->expected(2, 1 << 20);
  command->add_option("--out", options->out, "The .npz file to write")->required();
  add_json_option(*command, options->json);
  command->callback([options, &session] { session.action = [options] { run_merge(*options); }; });
}

}  // namespace ddpm_eval::eval
