#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/record.h"
#include "base/data/statistics_file.h"
#include "eval/command.h"
#include "eval/comparability.h"
#include "eval/console.h"
#include "eval/distinct_files.h"
#include "eval/feature_nets.h"
#include "eval/name_ending.h"
#include "eval/output.h"
#include "eval/side.h"

#include <filesystem>
#include <map>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

struct MergeOptions {
  std::vector<std::string> parts;
  std::string out;
  std::string json;
};

/// A file whose moments can be weighed and whose features are known, with its spatial statistics if it has
/// such.
Side read_part(const std::string& file) {
  auto part = read_side({.role = "part", .source = file}, "");
  if (part.provenance.is_null() || part.moments.count == 0) {
    throw core::DataError(
        "{}: does not say how many images it is of and of which network; make it with `ddpm-eval stats`, of "
        "images or of features that say theirs",
        file);
  }
  if (data::holds_spatial_statistics(file)) {
    auto spatial = data::read_statistics(file, data::StatisticsPart::kSpatial);
    part.spatial = {std::move(spatial.mu), std::move(spatial.sigma), part.moments.count, {}};
  }
  return part;
}

std::string mean_sha256(const at::Tensor& mean) {
  const auto bytes = mean.contiguous();
  return core::sha256_hex({static_cast<const char*>(bytes.data_ptr()), bytes.nbytes()});
}

/// What `stats` once measured and `file` is made of: its parts, or itself. Flat, because what grows by one
/// part a day would nest beyond what is read.
Json measured_in(const std::string& file, const Side& part) {
  if (const auto parts = part.provenance.find("parts"); parts != part.provenance.end()) {
    return *parts;
  }
  Json one = {{"file", file}, {"count", part.moments.count}, {"mu_sha256", mean_sha256(part.moments.mean)}};
  if (part.provenance.contains("data")) {
    one["data"] = part.provenance["data"];
  }
  return Json::array({one});
}

/// No measurement counts twice, be it by another name or within what was merged before.
class Repeats {
 public:
  void refuse(const std::string& file, const Json& measured) {
    for (const auto& one : measured) {
      const auto own = one.at("file").get<std::string>();
      const auto name = own == file ? file : own + " in " + file;
      const auto [first, is_new] = seen_.emplace(one.at("mu_sha256").get<std::string>(), name);
      if (!is_new) {
        throw core::DataError("{}: is of the images of {}, by its mean; each part counts once", name,
                              first->second);
      }
    }
  }

 private:
  std::map<std::string, std::string> seen_;
};

/// Of two files, `all` those that were read before.
void require_same_size(const metrics::Moments& all, const metrics::Moments& part, const std::string& first,
                       const std::string& file) {
  if (part.mean.sizes() != all.mean.sizes()) {
    throw core::NotComparableError("{} is of {} features, {} of {}", first, all.mean.size(0), file,
                                   part.mean.size(0));
  }
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
  require_ending("--out", options.out, {".npz"});
  require_json_target(options.json);
  core::require_writable(options.out);
  require_no_repeats(options.parts);
  auto record = core::new_record("statistics");
  Side all;
  Json parts = Json::array();
  Repeats repeats;
  std::vector<std::string> with_spatial;
  std::vector<std::string> without_spatial;
  for (const auto& file : options.parts) {
    auto part = read_part(file);
    (part.spatial ? with_spatial : without_spatial).push_back(file);
    const auto measured = measured_in(file, part);
    parts.insert(parts.end(), measured.begin(), measured.end());
    if (all.moments.count == 0) {
      repeats.refuse(file, measured);
      all = std::move(part);
      continue;
    }
    const auto& first = options.parts.front();
    if (const auto differences =
            feature_differences(provenance_features(all), provenance_features(part), first, file);
        !differences.empty()) {
      throw core::NotComparableError("{}", differences.front());
    }
    require_same_size(all.moments, part.moments, first, file);
    repeats.refuse(file, measured);
    if (all.moments.count > data::kMostCounted - part.moments.count) {
      throw core::DataError("{}: with its {} images there are more than the {} that statistics may be of",
                            file, part.moments.count, data::kMostCounted);
    }
    if (all.spatial && part.spatial) {
      require_same_size(*all.spatial, *part.spatial, "mu_s of " + first, "that of " + file);
      metrics::merge(*all.spatial, *part.spatial);
    }
    metrics::merge(all.moments, part.moments);
  }
  record["features"] = provenance_features(all);
  add_preset(record["features"], record);
  record["count"] = all.moments.count;
  record["parts"] = std::move(parts);
  std::optional<data::SpatialStatistics> spatial;
  if (without_spatial.empty()) {
    spatial = {all.spatial->mean, all.spatial->covariance};
  } else if (!with_spatial.empty()) {
    const auto note = fmt::format("mu_s and sigma_s are left out: {} has them, {} has not",
                                  with_spatial.front(), without_spatial.front());
    record["notes"].push_back(note);
    print_note(note);
  }
  data::write_statistics(
      options.out, {all.moments.mean, all.moments.covariance, core::json_text(record), options.out}, spatial);
  if (!write_json(options.json, record)) {
    print_line("{}: mu and sigma{} of {} images in {} parts", options.out,
               spatial ? ", mu_s and sigma_s" : "", all.moments.count, record["parts"].size());
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
