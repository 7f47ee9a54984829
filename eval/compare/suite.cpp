#include "eval/compare/suite.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/text.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

using core::Json;

constexpr std::pair<const char*, SeriesKind> kKinds[] = {{"speed", SeriesKind::kSpeed},
                                                         {"memory", SeriesKind::kMemory},
                                                         {"null", SeriesKind::kNull},
                                                         {"quality", SeriesKind::kQuality},
                                                         {"hash", SeriesKind::kHash}};

SeriesKind read_kind(const JsonReader& reader) {
  const auto word = reader.text("kind");
  const auto* found = std::ranges::find_if(kKinds, [&](const auto& kind) { return kind.first == word; });
  if (found == std::end(kKinds)) {
    std::vector<std::string> words;
    for (const auto& [name, unused] : kKinds) {
      words.emplace_back(name);
    }
    reader.refuse(fmt::format("kind must be {}, not '{}'", core::join_or(words), core::excerpt(word)));
  }
  return found->second;
}

std::vector<double> read_repetitions(const JsonReader& reader) {
  const auto& list = reader.list("repetitions");
  if (list.empty() || list.size() > kMaxRepetitions) {
    reader.refuse(fmt::format("repetitions must be 1 to {} numbers, not {}", kMaxRepetitions, list.size()));
  }
  std::vector<double> values;
  for (const auto& one : list) {
    const double value = one.is_number() ? one.get<double>() : 0;
    if (!(value >= kLeastRepetition && value <= kMostRepetition)) {
      reader.refuse(fmt::format("repetitions[{}] must be a positive number", values.size()));
    }
    values.push_back(value);
  }
  return values;
}

Tolerance read_tolerance(const JsonReader& series) {
  const auto reader = series.below("tolerance");
  Tolerance tolerance;
  tolerance.relative = reader.has("relative");
  if (tolerance.relative == reader.has("absolute")) {
    reader.refuse("tolerance must have either absolute or relative");
  }
  tolerance.size = reader.number(tolerance.relative ? "relative" : "absolute");
  if (tolerance.size < 0) {
    reader.refuse("tolerance must not be negative");
  }
  if (reader.has("either_way")) {
    if (!reader.at("either_way").is_boolean()) {
      reader.refuse("either_way must be true or false");
    }
    tolerance.either_way = reader.at("either_way").get<bool>();
  }
  return tolerance;
}

std::map<std::string, std::string> read_hashes(const JsonReader& reader) {
  const auto& object = reader.at("hashes");
  if (!object.is_object() || object.empty()) {
    reader.refuse("hashes must be texts by their instruction sets");
  }
  std::map<std::string, std::string> values;
  for (const auto& [instruction_set, unused] : object.items()) {
    values[instruction_set] = reader.below("hashes").text(instruction_set.c_str());
  }
  return values;
}

std::string text_or(const JsonReader& reader, const char* key, const char* otherwise) {
  return reader.has(key) ? reader.text(key) : otherwise;
}

}  // namespace

std::string kind_name(SeriesKind kind) {
  const auto* found = std::ranges::find_if(kKinds, [&](const auto& one) { return one.second == kind; });
  DDPM_CHECK(found != std::end(kKinds), "kind {}", static_cast<int>(kind));
  return found->first;
}

SuiteSeries read_suite_series(const JsonReader& unnamed) {
  SuiteSeries series;
  series.name = unnamed.text("name");
  const auto reader = unnamed.named(fmt::format("series '{}'", core::excerpt(series.name)));
  series.kind = read_kind(reader);
  if (series.kind == SeriesKind::kHash) {
    series.hashes = read_hashes(reader);
    return series;
  }
  series.unit = reader.text("unit");
  series.higher_is_better = reader.second_of("better", "lower", "higher");
  if (series.kind == SeriesKind::kQuality) {
    series.value = reader.number("value");
    series.tolerance = read_tolerance(reader);
  } else {
    series.repetitions = read_repetitions(reader);
  }
  return series;
}

Suite read_suite(const std::filesystem::path& path) {
  const auto object = core::parse_json(core::read_text(path));
  const JsonReader reader(object, path.string(), "a suite record");
  reader.require_schema(kSuiteSchema);
  if (const auto kind = reader.text("kind"); kind != "suite") {
    reader.refuse(fmt::format("kind must be suite, not '{}'", core::excerpt(kind)));
  }
  Suite suite;
  suite.file = path.string();
  reader.time("time");
  suite.time = reader.text("time");
  suite.commit = reader.text("commit");
  suite.session = text_or(reader, "session", "");
  const auto context = reader.below("context");
  suite.context = {{"cpu", context.text("cpu")},
                   {"instruction_set", context.text("instruction_set")},
                   {"threads", fmt::format("{}", context.count("threads"))},
                   {"build", context.text("build")},
                   {"libtorch", context.text("libtorch")},
                   {"device", text_or(context, "device", "cpu")},
                   {"precision", text_or(context, "precision", "float32")}};
  suite.compiler = context.text("compiler");
  if (context.has("load")) {
    suite.load = context.number("load");
  }
  for (const auto& one : reader.list("series")) {
    auto series = read_suite_series({one, reader.place(), reader.what()});
    if (std::ranges::any_of(suite.series, [&](const auto& other) { return other.name == series.name; })) {
      reader.refuse(fmt::format("series '{}' is there twice", core::excerpt(series.name)));
    }
    suite.series.push_back(std::move(series));
  }
  if (suite.series.empty()) {
    reader.refuse("series is empty");
  }
  return suite;
}

}  // namespace ddpm_eval::eval
