#include "eval/ablation/grid_definition.h"

#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/core/record.h"
#include "base/training/config_difference.h"
#include "eval/run_files.h"

#include <algorithm>
#include <system_error>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;
using core::Json;

/// Whether results depend on a key that a resumed training may change: what is sampled and for how long is
/// trained, and how sums are split, which their last digits show.
bool changes_numbers(const std::string& key) {
  return key.starts_with("sample.") || key.starts_with("train.diverged_") || key == "train.steps" ||
         key == "train.accumulate";
}

training::SameRun same_numbers() {
  training::SameRun same;
  for (const auto& key : ddpm::RunConfig().resumable_keys()) {
    if (!changes_numbers(key)) {
      same.may_change.push_back("config." + key);
    }
  }
  const Json defaults = {{"config", Json::parse(core::config_to_json(ddpm::RunConfig()))},
                         {"score", Json::parse(core::config_to_json(GridScore()))},
                         {"likelihood", Json::parse(core::config_to_json(GridLikelihood()))}};
  same.defaults_json = core::json_text(defaults);
  return same;
}

/// Where a record without a digest tells a part of its definition.
struct ToldPart {
  const char* in_record;
  const char* in_definition;
};
constexpr ToldPart kToldParts[] = {
    {"/run/data", "/config/data/source"},    {"/run/process", "/config/process"},
    {"/run/objective", "/config/objective"}, {"/training/step", "/config/train/steps"},
    {"/score/real", "/score/real"},          {"/score/count", "/score/num"},
    {"/score/seed", "/score/seed"},
};

/// As definition_difference(), of the parts that the record tells.
std::string told_difference(const Json& definition, const Json& record) {
  Json now = Json::object();
  Json then = Json::object();
  for (const auto& part : kToldParts) {
    const Json::json_pointer told(part.in_record);
    const Json::json_pointer place(part.in_definition);
    if (record.contains(told)) {
      now[place] = definition.at(place);
      then[place] = record.at(told);
    }
  }
  return definition_difference(now, then);
}

}  // namespace

Json job_definition(const Grid& grid, const GridJob& job) {
  Json definition = {{"schema", core::kRecordSchema},
                     {"kind", "ablation definition"},
                     {"cell", grid.cells.at(job.cell).name},
                     {"seed", job.seed}};
  definition.update(grid.definition_of(job.cell));
  return definition;
}

std::string definition_digest(const Json& definition) {
  return core::sha256_hex(core::json_text(definition));
}

std::string definition_difference(const Json& now, const Json& then) {
  const auto difference = training::config_difference(then, now, same_numbers());
  return difference ? fmt::format("{} is {} and was {}", difference->key, difference->now, difference->stored)
                    : std::string();
}

bool has_results(const fs::path& job_folder) {
  return std::ranges::any_of(std::initializer_list<const char*>{kJobRecordFile, kTrainingFile, "run", "nll",
                                                                "samples", "samples.npy"},
                             [&](const char* name) { return file_exists(job_folder / name); });
}

void require_own(const Grid& grid, const GridJob& job, const fs::path& file, const Json& content) {
  const auto refuse = [&](const std::string& why) {
    throw core::DataError("{}: {}; put the job's own back, or remove its folder to do the job again",
                          file.string(), why);
  };
  const auto cell = content.value("cell", Json());
  const auto seed = content.value("seed", Json());
  if (cell != grid.cells.at(job.cell).name || seed != job.seed) {
    refuse(fmt::format("is of cell {}, seed {}", core::json_text(cell), core::json_text(seed)));
  }
  if (file.filename() == kDefinitionFile) {
    return;
  }
  const auto beside = file.parent_path() / kDefinitionFile;
  if (!file_exists(beside)) {
    refuse(fmt::format("has no {} beside it, which would say what it is of", kDefinitionFile));
  }
  if (content.contains(kDefinitionDigest)) {
    if (content[kDefinitionDigest] != definition_digest(core::read_record(beside))) {
      refuse(fmt::format("was made from another definition than that of {} beside it", kDefinitionFile));
    }
  } else if (const auto told = told_difference(job_definition(grid, job), content); !told.empty()) {
    refuse(fmt::format("was made from another definition: {} there", told));
  }
}

}  // namespace ddpm_eval::eval
