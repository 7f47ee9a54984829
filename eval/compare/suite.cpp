#include "eval/compare/suite.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/record.h"
#include "base/core/text.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <unordered_set>
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

constexpr size_t kMaxTextBytes = 200;
constexpr size_t kMaxUnitBytes = 40;
constexpr size_t kMaxKeys = 50;

/// One that a table can hold.
std::string short_text(const JsonReader& reader, const char* key, size_t most = kMaxTextBytes) {
  auto text = reader.text(key);
  if (text.size() > most) {
    reader.refuse(fmt::format("{} must be at most {} bytes, not {}", reader.full(key), most, text.size()));
  }
  return text;
}

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

/// The object at `key`, with few and short keys.
const Json& small_object(const JsonReader& reader, const char* key, const char* wanted) {
  const auto& object = reader.at(key);
  if (!object.is_object() || object.empty()) {
    reader.refuse(fmt::format("{} must be {}", key, wanted));
  }
  if (object.size() > kMaxKeys) {
    reader.refuse(fmt::format("{} must have at most {} keys, not {}", key, kMaxKeys, object.size()));
  }
  for (const auto& [name, unused] : object.items()) {
    if (name.empty() || name.size() > kMaxTextBytes) {
      reader.refuse(fmt::format("keys of {} must be 1 to {} bytes", key, kMaxTextBytes));
    }
  }
  return object;
}

std::map<std::string, std::string> read_hashes(const JsonReader& reader) {
  std::map<std::string, std::string> values;
  for (const auto& [instruction_set, unused] :
       small_object(reader, "hashes", "texts by their instruction sets").items()) {
    values[instruction_set] = short_text(reader.below("hashes"), instruction_set.c_str());
  }
  return values;
}

std::map<std::string, std::string> read_series_context(const JsonReader& reader) {
  std::map<std::string, std::string> values;
  if (!reader.has("context")) {
    return values;
  }
  for (const auto& [key, value] :
       small_object(reader, "context", "texts and numbers by their keys").items()) {
    if (!value.is_string() && !value.is_number() && !value.is_boolean()) {
      reader.refuse(fmt::format("context: {} must be a text, a number or a truth value", core::excerpt(key)));
    }
    values[key] =
        value.is_string() ? short_text(reader.below("context"), key.c_str()) : core::json_text(value);
  }
  return values;
}

std::string text_or(const JsonReader& reader, const char* key, const char* otherwise) {
  return reader.has(key) ? short_text(reader, key) : otherwise;
}

}  // namespace

std::string kind_name(SeriesKind kind) {
  const auto* found = std::ranges::find_if(kKinds, [&](const auto& one) { return one.second == kind; });
  DDPM_CHECK(found != std::end(kKinds), "kind {}", static_cast<int>(kind));
  return found->first;
}

SuiteSeries read_suite_series(const JsonReader& unnamed, size_t index) {
  SuiteSeries series;
  series.name = short_text(unnamed.named(fmt::format("series[{}]", index)), "name", kMaxNameBytes);
  const auto reader = unnamed.named(fmt::format("series '{}'", core::excerpt(series.name)));
  series.kind = read_kind(reader);
  if (series.kind == SeriesKind::kHash || series.kind == SeriesKind::kQuality) {
    series.context = read_series_context(reader);
  }
  if (series.kind == SeriesKind::kHash) {
    series.hashes = read_hashes(reader);
    return series;
  }
  series.unit = short_text(reader, "unit", kMaxUnitBytes);
  series.higher_is_better = reader.second_of("better", "lower", "higher");
  if (series.kind == SeriesKind::kQuality) {
    series.value = reader.number("value");
    series.tolerance = read_tolerance(reader);
  } else {
    series.repetitions = read_repetitions(reader);
  }
  if (series.kind == SeriesKind::kSpeed) {
    series.null_subject = text_or(reader, "null", "");
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
  suite.commit = short_text(reader, "commit");
  suite.session = text_or(reader, "session", "");
  const auto context = reader.below("context");
  suite.context = {{"cpu", short_text(context, "cpu")},
                   {"instruction_set", short_text(context, "instruction_set")},
                   {"threads", fmt::format("{}", context.count("threads"))},
                   {"build", short_text(context, "build")},
                   {"libtorch", short_text(context, "libtorch")},
                   {"device", text_or(context, "device", "cpu")},
                   {"precision", text_or(context, "precision", "float32")}};
  suite.compiler = short_text(context, "compiler");
  if (context.has("load")) {
    suite.load = context.number("load");
  }
  const auto& list = reader.list("series");
  if (list.size() > kMaxSeries) {
    reader.refuse(fmt::format("series must be at most {}, not {}", kMaxSeries, list.size()));
  }
  std::unordered_set<std::string> names;
  for (const auto& one : list) {
    auto series = read_suite_series({one, reader.place(), reader.what()}, suite.series.size());
    if (!names.insert(series.name).second) {
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
