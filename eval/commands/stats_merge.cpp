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
#include "eval/output.h"
#include "eval/side.h"

#include <filesystem>
#include <map>

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

/// A file whose moments can be weighed and whose features are known.
Side read_part(const std::string& file) {
  auto part = read_side({.role = "part", .source = file}, "");
  if (part.provenance.is_null() || part.moments.count == 0) {
    throw core::DataError("{}: does not say how many images it is of; make it with `ddpm-eval stats`", file);
  }
  return part;
}

std::string mean_sha256(const at::Tensor& mean) {
  const auto bytes = mean.contiguous();
  return core::sha256_hex({static_cast<const char*>(bytes.data_ptr()), bytes.nbytes()});
}

/// Appends what `stats` once measured and `file` is made of: its parts, and theirs, or itself. Flat, because
/// what grows by one part a day would nest beyond what is read.
void add_measured(const Json& from, const std::string& file, Json& measured) {
  if (const auto parts = from.find("parts"); parts != from.end()) {
    if (!parts->is_array() || parts->empty()) {
      throw core::DataError(
          "{}: the parts in its provenance.json are no list of at least one; merge its parts anew", file);
    }
    for (const auto& part : *parts) {
      if (!part.is_object()) {
        throw core::DataError("{}: a part in its provenance.json is no object; merge its parts anew", file);
      }
      add_measured(part, file, measured);
    }
    return;
  }
  Json one = Json::object();
  for (const char* key : {"file", "count", "mu_sha256", "data"}) {
    if (from.contains(key)) {
      one[key] = from[key];
    }
  }
  measured.push_back(std::move(one));
}

/// The measurements in a file, as its part of the record has them.
Json measured_in(const std::string& file, const Side& part) {
  auto from = part.provenance;
  from["file"] = file;
  from["mu_sha256"] = mean_sha256(part.moments.mean);
  Json measured = Json::array();
  add_measured(from, file, measured);
  return measured;
}

/// No measurement counts twice, be it by another name or within what was merged before.
class Repeats {
 public:
  void refuse(const std::string& file, const Json& measured) {
    for (const auto& one : measured) {
      const auto own = text_field(one, "file");
      const auto name = own.empty() || own == file ? file : own + " in " + file;
      if (const auto mean = text_field(one, "mu_sha256"); !mean.empty()) {
        refuse(name, "mean:" + mean, "by its mean");
      }
      // Of files that were merged before means were kept. The times in it make it one measurement's own.
      if (const auto data = one.find("data");
          data != one.end() && data->is_object() && data->contains("seconds") && one.contains("count")) {
        refuse(name, fmt::format("data:{} {}", one["count"].dump(), core::json_text(*data)),
               "by what both say of their data");
      }
    }
  }

 private:
  void refuse(const std::string& name, const std::string& key, const char* by) {
    const auto [first, is_new] = seen_.emplace(key, name);
    if (!is_new) {
      throw core::DataError("{}: is of the images of {}, {}; each part counts once", name, first->second, by);
    }
  }

  std::map<std::string, std::string> seen_;
};

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
  Repeats repeats;
  for (const auto& file : options.parts) {
    auto part = read_part(file);
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
    if (part.moments.mean.sizes() != all.moments.mean.sizes()) {
      throw core::NotComparableError("{} is of {} features, {} of {}", first, all.moments.mean.size(0), file,
                                     part.moments.mean.size(0));
    }
    repeats.refuse(file, measured);
    if (all.moments.count > data::kMostCounted - part.moments.count) {
      throw core::DataError("{}: with its {} images there are more than the {} that statistics may be of",
                            file, part.moments.count, data::kMostCounted);
    }
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
