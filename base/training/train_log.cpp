#include "base/training/train_log.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/json.h"
#include "base/core/record.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

namespace ddpm_eval::training {
namespace {

using core::Json;

constexpr const char* kOwnNames[] = {"loss", "grad_norm", "clipped"};

/// JSON has no NaN.
Json number_or_word(double value) {
  return std::isfinite(value) ? Json(value) : Json(fmt::format("{}", value));
}

}  // namespace

void LogWindow::add(const std::string& name, double value) {
  DDPM_CHECK(std::isfinite(value), "log entry '{}' is {}", name, value);
  Sum& sum = sums_[name];
  sum.total += value;
  ++sum.count;
}

double LogWindow::mean(const std::string& name) const {
  const auto found = sums_.find(name);
  return found == sums_.end() ? 0 : found->second.total / static_cast<double>(found->second.count);
}

StepLog LogWindow::task_means() const {
  StepLog means;
  for (const auto& [name, unused] : sums_) {
    if (std::find(std::begin(kOwnNames), std::end(kOwnNames), name) == std::end(kOwnNames)) {
      means[name] = mean(name);
    }
  }
  return means;
}

std::string LogWindow::to_json() const {
  Json json = Json::object();
  for (const auto& [name, sum] : sums_) {
    json[name] = {sum.total, sum.count};
  }
  return json.dump();
}

LogWindow LogWindow::from_json(std::string_view text, const std::string& origin) {
  const Json json = core::parse_json(text);
  bool sound = json.is_object();
  LogWindow window;
  if (sound) {
    for (const auto& [name, pair] : json.items()) {
      sound = sound && pair.is_array() && pair.size() == 2 && pair[0].is_number() &&
              pair[1].is_number_integer() && pair[1].get<int64_t>() > 0;
      if (sound) {
        window.sums_[name] = {pair[0].get<double>(), pair[1].get<int64_t>()};
      }
    }
  }
  if (!sound) {
    throw core::DataError("{}: the sums for the next log line are damaged", origin);
  }
  return window;
}

TrainLog::TrainLog(std::filesystem::path path, int64_t step) : path_(std::move(path)) {
  if (!std::filesystem::exists(path_)) {
    return;
  }
  const std::string text = core::read_text(path_, UINT64_MAX);
  size_t kept = 0;
  for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', kept)) {
    const auto line = core::parse_json(std::string_view(text).substr(kept, end - kept));
    if (!core::has_integer(line, "step") || line["step"].get<int64_t>() > step) {
      break;
    }
    if (core::has_number(line, "seconds")) {
      seconds_before_ = line["seconds"].get<double>();
    }
    kept = end + 1;
  }
  if (kept != text.size()) {
    core::write_file(path_, std::string_view(text).substr(0, kept));
  }
}

void TrainLog::append(const LogLine& line) {
  Json json;
  json["step"] = line.step;
  json["loss"] = line.loss;
  for (const auto& [name, value] : line.entries) {
    json[name] = value;
  }
  json["grad_norm"] = line.grad_norm;
  json["clipped_share"] = line.clipped_share;
  json["learning_rate"] = line.learning_rate;
  json["images_per_second"] = line.images_per_second;
  json["seconds"] = line.seconds;
  json["seconds_left"] = line.seconds_left;
  core::append_to_file(path_, json.dump() + "\n");
}

void TrainLog::append(const Divergence& divergence) {
  Json json;
  json["step"] = divergence.step;
  json["event"] = "diverged";
  json["reason"] = divergence.reason;
  json["loss"] = number_or_word(divergence.loss);
  json["grad_norm"] = number_or_word(divergence.grad_norm);
  json["learning_rate"] = divergence.learning_rate;
  core::append_to_file(path_, json.dump() + "\n");
}

void write_divergence(const std::filesystem::path& folder, const Divergence& divergence) {
  auto record = core::new_record("divergence");
  record["step"] = divergence.step;
  record["first_step"] = divergence.first_step;
  record["reason"] = divergence.reason;
  record["loss"] = number_or_word(divergence.loss);
  record["grad_norm"] = number_or_word(divergence.grad_norm);
  record["learning_rate"] = divergence.learning_rate;
  record["loss_before"] = divergence.loss_before ? Json(*divergence.loss_before) : Json();
  record["checkpoint_step"] = divergence.checkpoint ? Json(*divergence.checkpoint) : Json();
  core::write_record(folder / kDivergenceFile, record);
}

}  // namespace ddpm_eval::training
