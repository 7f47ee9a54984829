#include "eval/score_log.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/json.h"

#include <algorithm>
#include <cmath>

namespace ddpm_eval::eval {

using core::Json;

ScoreLog::ScoreLog(std::filesystem::path path, Json context, int64_t step, const Same& same)
    : path_(std::move(path)), context_(std::move(context)) {
  if (!std::filesystem::exists(path_)) {
    return;
  }
  const std::string text = core::read_text(path_, UINT64_MAX);
  size_t kept = 0;
  for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', kept)) {
    const auto line = std::string_view(text).substr(kept, end - kept);
    auto entry = parse(line);
    if (!entry) {
      throw core::DataError(
          "{}: line {} is damaged or out of order; remove the file to begin the choice of the best anew",
          path_.string(), entries_.size() + 1);
    }
    if (entry->step > step) {
      break;
    }
    const auto json = core::parse_json(line);
    for (const auto& [key, value] : context_.items()) {
      const auto stored = json.contains(key) ? json[key] : Json();
      if (same ? !same(key, stored, value) : stored != value) {
        throw core::UsageError(
            "{}: has scores with another {}: {} there, {} here; go on with the same, or remove the file to "
            "begin "
            "the choice of the best anew",
            path_.string(), key, core::json_text(stored), core::json_text(value));
      }
    }
    entries_.push_back(std::move(*entry));
    kept = end + 1;
  }
  if (kept != text.size()) {
    core::write_file(path_, std::string_view(text).substr(0, kept));
  }
}

std::optional<ScoreEntry> ScoreLog::parse(std::string_view line) const {
  const auto json = core::parse_json(line);
  if (!core::has_integer(json, "step") || !json.contains("value") ||
      !(json["value"].is_number() || json["value"].is_null())) {
    return std::nullopt;
  }
  ScoreEntry entry{.step = json["step"].get<int64_t>(), .value = {}, .problem = {}};
  if (!entries_.empty() && entry.step <= entries_.back().step) {
    return std::nullopt;
  }
  if (json["value"].is_number()) {
    entry.value = json["value"].get<double>();
  }
  return entry;
}

bool ScoreLog::has(int64_t step) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const auto& entry) { return entry.step == step; });
}

const ScoreEntry* ScoreLog::best() const {
  const ScoreEntry* best = nullptr;
  for (const auto& entry : entries_) {
    if (entry.value && (best == nullptr || *entry.value < *best->value)) {
      best = &entry;
    }
  }
  return best;
}

void ScoreLog::append(const ScoreEntry& entry) {
  DDPM_CHECK(entries_.empty() || entry.step > entries_.back().step, "step {} after {}", entry.step,
             entries_.back().step);
  DDPM_CHECK(!entry.value || std::isfinite(*entry.value), "a score of {}", *entry.value);
  entries_.push_back(entry);
  Json json;
  json["step"] = entry.step;
  json["value"] = entry.value ? Json(*entry.value) : Json();
  if (!entry.value) {
    json["problem"] = entry.problem;
  }
  json["best"] = best() == &entries_.back();
  json.update(context_);
  core::append_to_file(path_, core::json_text(json) + "\n");
}

}  // namespace ddpm_eval::eval
