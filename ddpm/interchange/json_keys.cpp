#include "ddpm/interchange/json_keys.h"

#include "base/core/error.h"
#include "base/core/record.h"

#include <cmath>

namespace ddpm_eval::ddpm {
namespace {

using Json = JsonKeys::Json;

bool is_list_of(const Json& value, bool (*fits)(const Json&)) {
  return value.is_array() && !value.empty() && std::all_of(value.begin(), value.end(), fits);
}

}  // namespace

JsonKeys::JsonKeys(const std::string& text, std::string origin)
    : origin_(std::move(origin)), object_(Json::parse(text, nullptr, /*allow_exceptions=*/false)) {
  if (!object_.is_object()) {
    throw core::DataError("{}: is not a JSON object", origin_);
  }
}

bool JsonKeys::contains(const char* key) {
  asked_.insert(key);
  return object_.contains(key);
}

Json JsonKeys::value(const char* key) { return contains(key) ? object_.at(key) : Json(); }

void JsonKeys::refuse(const char* key, const std::string& why) {
  throw core::DataError("{}: {}: {}", origin_, key, why);
}

template <class Value>
Value JsonKeys::typed(const char* key, bool fits, const char* expected) {
  if (!fits) {
    refuse(key, contains(key) ? fmt::format("{} is not {}", core::json_text(value(key)), expected)
                              : fmt::format("is missing; it must be {}", expected));
  }
  return value(key).get<Value>();
}

int64_t JsonKeys::whole(const char* key, int64_t missing) {
  return contains(key) ? typed<int64_t>(key, value(key).is_number_integer(), "a whole number") : missing;
}

double JsonKeys::number(const char* key, double missing) {
  if (!contains(key)) {
    return missing;
  }
  const auto there = value(key);
  return typed<double>(key, there.is_number() && std::isfinite(there.get<double>()), "a finite number");
}

bool JsonKeys::flag(const char* key, bool missing) {
  return contains(key) ? typed<bool>(key, value(key).is_boolean(), "true or false") : missing;
}

std::string JsonKeys::word(const char* key, const std::string& missing) {
  return contains(key) ? typed<std::string>(key, value(key).is_string(), "a word") : missing;
}

std::vector<int64_t> JsonKeys::wholes(const char* key) {
  const auto fits = [](const Json& element) { return element.is_number_integer(); };
  return typed<std::vector<int64_t>>(key, is_list_of(value(key), fits), "a list of whole numbers");
}

std::vector<std::string> JsonKeys::words(const char* key) {
  const auto fits = [](const Json& element) { return element.is_string(); };
  return typed<std::vector<std::string>>(key, is_list_of(value(key), fits), "a list of words");
}

void JsonKeys::require(const char* key, const Json& missing, std::initializer_list<Json> good,
                       const char* reason) {
  const auto found = contains(key) ? value(key) : missing;
  if (std::find(good.begin(), good.end(), found) == good.end()) {
    refuse(key, fmt::format("{}{}, and {}: {} is needed", core::json_text(found),
                            contains(key) ? "" : ", which diffusers takes where it is missing", reason,
                            core::json_text(*good.begin())));
  }
}

void JsonKeys::finish() const {
  for (const auto& [key, value] : object_.items()) {
    if (!asked_.contains(key) && !key.starts_with("_") && !value.is_null()) {
      throw core::DataError("{}: {}: {}; this program does not know the key, and so not what it changes",
                            origin_, key, core::json_text(value));
    }
  }
}

}  // namespace ddpm_eval::ddpm
