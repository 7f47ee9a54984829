#include "eval/ablation/grid_status.h"

#include "base/core/record.h"
#include "base/training/train_log.h"
#include "eval/console.h"

#include <algorithm>
#include <array>
#include <fstream>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

using core::Json;

constexpr std::array kStates = {JobState::kWaiting, JobState::kRunning, JobState::kDone, JobState::kDiverged,
                                JobState::kFailed};

const char* state_word(JobState state) {
  switch (state) {
    case JobState::kWaiting:
      return "waiting";
    case JobState::kRunning:
      return "running";
    case JobState::kDone:
      return "done";
    case JobState::kDiverged:
      return "diverged";
    case JobState::kFailed:
      return "failed";
  }
  return "";
}

/// Of a job that is neither done nor failed: how far its training is.
void add_training(const GridFolder& folder, const GridJob& job, Json& json) {
  const auto& grid = folder.grid();
  const size_t owner = grid.cells[job.cell].owner;
  if (folder.training(job) != nullptr) {
    if (owner == job.cell) {
      json["trained"] = true;
    }
  } else if (owner != job.cell) {
    json["needs"] = grid.cells[owner].name;
  } else if (const auto step = last_logged_step(folder.job_folder(job) / "run" / training::kLogFile)) {
    json["step"] = *step;
    json["steps"] = grid.budget.steps;
  }
}

Json job_status(const GridFolder& folder, const GridJob& job, JobState state) {
  Json json = {
      {"cell", folder.grid().cells[job.cell].name}, {"seed", job.seed}, {"state", state_word(state)}};
  if (state == JobState::kDiverged) {
    json["first_bad_step"] = folder.record(job)->at("divergence").at("first_step");
  } else if (state == JobState::kDone) {
    json["seconds"] = folder.record(job)->value("seconds", 0.0);
  } else if (state == JobState::kFailed) {
    const auto failure = folder.failure(job);
    json["message"] = failure ? failure->value("message", "")
                              : "the training of " +
                                    folder.grid().cells[folder.grid().cells[job.cell].owner].name + " failed";
  } else {
    add_training(folder, job, json);
  }
  return json;
}

std::string detail_of(const Json& job) {
  if (job.contains("first_bad_step")) {
    return fmt::format("first bad step {}", job["first_bad_step"].get<int64_t>());
  }
  if (job.contains("seconds")) {
    return duration_text(job["seconds"].get<double>());
  }
  if (job.contains("needs")) {
    return "needs the training of " + job["needs"].get<std::string>();
  }
  if (job.contains("step")) {
    return fmt::format("step {} of {}", job["step"].get<int64_t>(), job["steps"].get<int64_t>());
  }
  return job.contains("trained") ? "trained" : job.value("message", "");
}

}  // namespace

std::optional<int64_t> last_logged_step(const std::filesystem::path& log) {
  constexpr std::streamoff kTail = 1 << 16;  // many lines
  std::ifstream file(log, std::ios::binary | std::ios::ate);
  const std::streamoff size = file ? std::streamoff(file.tellg()) : 0;
  const std::streamoff length = std::min(size, kTail);
  std::string text(static_cast<size_t>(length), '\0');
  file.seekg(size - length);
  file.read(text.data(), length);
  if (!file) {
    return std::nullopt;
  }
  for (size_t end = text.rfind('\n'); end != std::string::npos && end > 0;) {
    const size_t before = text.rfind('\n', end - 1);
    const size_t begin = before == std::string::npos ? 0 : before + 1;
    const auto line = core::parse_json(std::string_view(text).substr(begin, end - begin));
    if (core::has_integer(line, "step")) {
      return line["step"].get<int64_t>();
    }
    end = before;
  }
  return std::nullopt;
}

Json grid_status(const GridFolder& folder) {
  const auto& grid = folder.grid();
  auto status = core::new_record("ablation status");
  status["title"] = grid.title;
  status["jobs"] = Json::array();
  for (const auto state : kStates) {
    status["counts"][state_word(state)] = 0;
  }
  std::array<double, 2> seconds{};  // of jobs that train, and of those that do not
  std::array<int, 2> done{};
  std::array<int, 2> left{};
  for (const auto& job : folder.jobs()) {
    const auto state = folder.state(job);
    auto json = job_status(folder, job, state);
    auto& count = status["counts"][state_word(state)];
    count = count.get<int>() + 1;
    const size_t kind = grid.cells[job.cell].owner == job.cell ? 0 : 1;
    if (state == JobState::kDone) {
      seconds[kind] += json["seconds"].get<double>();
      ++done[kind];
    } else if (state == JobState::kWaiting || state == JobState::kRunning) {
      ++left[kind];
    }
    status["jobs"].push_back(std::move(json));
  }
  double remaining = 0;
  bool known = true;
  for (size_t kind = 0; kind < 2; ++kind) {
    known = known && (left[kind] == 0 || done[kind] > 0);
    remaining += done[kind] > 0 ? left[kind] * seconds[kind] / done[kind] : 0;
  }
  const int together = std::max(1, status["counts"]["running"].get<int>());
  status["seconds_left"] = known ? Json(remaining / together) : Json();
  return status;
}

std::string describe_status(const Json& status) {
  std::string text;
  for (const auto& job : status.at("jobs")) {
    const auto detail = detail_of(job);
    text += fmt::format("{:<9} {}, seed {}{}{}\n", job.at("state").get<std::string>(),
                        job.at("cell").get<std::string>(), job.at("seed").get<int64_t>(),
                        detail.empty() ? "" : ": ", detail);
  }
  const auto count = [&](const char* state) { return status.at("counts").at(state).get<int>(); };
  text += fmt::format("{} of {} jobs done, {} diverged, {} running, {} waiting, {} failed", count("done"),
                      status.at("jobs").size(), count("diverged"), count("running"), count("waiting"),
                      count("failed"));
  if (count("waiting") + count("running") > 0) {
    const auto& left = status.at("seconds_left");
    text += left.is_null() ? std::string("; the time left is not known before a first job is done")
                           : fmt::format("; about {} left with {} at a time",
                                         duration_text(left.get<double>()), std::max(1, count("running")));
  }
  return text + "\n";
}

}  // namespace ddpm_eval::eval
