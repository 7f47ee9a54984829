#include "eval/repeats.h"

#include "base/core/error.h"
#include "base/core/statistics.h"
#include "base/data/source_spec.h"

#include <algorithm>
#include <utility>

namespace ddpm_eval::eval {
namespace {

using core::Json;

/// "swiss-roll?num=5&seed=1" with another seed.
std::string with_seed(const std::string& source, uint64_t seed) {
  const size_t query = source.rfind('?');
  std::string text = source.substr(0, query) + "?";
  for (size_t begin = query; begin < source.size();) {
    const size_t end = std::min(source.find('&', begin + 1), source.size());
    const auto pair = source.substr(begin + 1, end - begin - 1);
    if (!pair.starts_with("seed=")) {
      text += pair + "&";
    }
    begin = end;
  }
  return text + fmt::format("seed={}", seed);
}

Json repeat_entry(const std::string& source, const SampleScore& sample) {
  Json entry = {{"source", source}, {"seed", data::parse_source(source).seed}};
  for (const auto& [key, value] : sample.side.items()) {
    if (key != "source" && key != "context") {
      entry[key] = value;
    }
  }
  entry.update({{"metrics", sample.scores.metrics}, {"parts", sample.scores.parts}});
  if (!sample.scores.uncertainty.empty()) {
    entry["uncertainty"] = sample.scores.uncertainty;
  }
  return entry;
}

void add_repeats(std::vector<Json> entries, Json& record) {
  auto& means = record["metrics"] = Json::object();
  Json deviations = Json::object();
  for (const auto& [key, unused] : entries.at(0).at("metrics").items()) {
    std::vector<double> values;
    for (const auto& entry : entries) {
      values.push_back(entry.at("metrics").at(key).get<double>());
    }
    const auto found = core::mean_and_sd(values);
    means[key] = found.mean;
    deviations[key] = found.sd;
  }
  record["notes"].push_back(fmt::format(
      "the scores are means over {} samples, of the seeds {} to {}, each scored by itself", entries.size(),
      entries.front().at("seed").get<uint64_t>(), entries.back().at("seed").get<uint64_t>()));
  record["parts"] = Json::object();  // each sample has its own
  record["repeats"] = {
      {"count", entries.size()},
      {"what",
       "metrics are means over samples of different seeds, scored one by one; deviations are "
       "over these scores, divided by their number less 1"},
      {"deviations", std::move(deviations)},
      {"samples", std::move(entries)}};
}

}  // namespace

std::vector<std::string> repeated_sources(const std::string& source, int64_t repeats) {
  DDPM_CHECK(repeats >= 2, "{} repeats", repeats);
  const auto spec = data::parse_source(source);
  if (spec.kind != data::SourceKind::kRun && spec.kind != data::SourceKind::kNoise &&
      spec.kind != data::SourceKind::kPoints) {
    throw core::UsageError(
        "--repeats {}: --fake {} cannot be made again from another seed; run:FOLDER, gaussian-noise:HxWxC "
        "and made-up points can",
        repeats, source);
  }
  if (spec.seed > UINT64_MAX - static_cast<uint64_t>(repeats - 1)) {
    throw core::UsageError("--repeats {}: the seeds after that of {} are beyond 64 bits", repeats, source);
  }
  std::vector<std::string> sources;
  for (uint64_t i = 0; i < static_cast<uint64_t>(repeats); ++i) {
    sources.push_back(with_seed(source, spec.seed + i));
  }
  return sources;
}

void add_scores(const std::vector<std::string>& sources,
                const std::function<SampleScore(const std::string& source)>& score, Json& record) {
  if (sources.size() == 1) {
    auto [side, scores] = score(sources.front());
    record["metrics"] = std::move(scores.metrics);
    if (!scores.uncertainty.empty()) {
      record["uncertainty"] = std::move(scores.uncertainty);
    }
    record["parts"] = std::move(scores.parts);
    return;
  }
  std::vector<Json> entries;
  for (const auto& source : sources) {
    entries.push_back(repeat_entry(source, score(source)));
  }
  add_repeats(std::move(entries), record);
}

}  // namespace ddpm_eval::eval
