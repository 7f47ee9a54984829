#pragma once

#include "base/core/json.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {

/// Reads the fields of a JSON object that came from a file. Everything throws DataError, whose message starts
/// with `place` and names the key, with what it lies in ("context.cpu"). `object` must outlive the reader.
class JsonReader {
 public:
  /// `object` is what core::parse_json() gave, null included; `what` it should be ("a line of a history"),
  /// for a key that is missing.
  JsonReader(const core::Json& object, std::string place, std::string what)
      : object_(object), place_(std::move(place)), what_(std::move(what)) {}

  [[noreturn]] void refuse(const std::string& problem) const;

  bool has(const char* key) const { return object_.is_object() && object_.contains(key); }
  const core::Json& at(const char* key) const;
  /// A text that is not empty.
  std::string text(const char* key) const;
  /// One of two words: true for the second.
  bool second_of(const char* key, const char* first, const char* second) const;
  /// The text, which may be empty; empty where the key is missing or null.
  std::string text_or_none(const char* key) const;
  /// A finite number.
  double number(const char* key) const;
  /// A finite number of at least 0.
  double non_negative(const char* key) const;
  /// A whole number of at least 1.
  int64_t count(const char* key) const;
  /// Seconds since 1970 of a time as 2026-11-26T02:00:00Z.
  int64_t time(const char* key) const;
  const core::Json& list(const char* key) const;
  /// A list of texts, none of them empty.
  std::vector<std::string> texts(const char* key) const;
  /// Readers of a list's elements, each with its place in the list in messages: "FILE: yardsticks[0]: ...".
  std::vector<JsonReader> objects(const char* key) const;
  /// The object under `key`.
  JsonReader below(const char* key) const;
  /// The same, or nothing where the key is missing or null.
  std::optional<JsonReader> maybe_below(const char* key) const;
  /// The same object, with `name` after the place in messages.
  JsonReader named(const std::string& name) const { return {object_, place_ + ": " + name, what_}; }
  /// "context.cpu", for messages.
  std::string full(const char* key) const { return above_ + key; }
  /// Refuses what is no JSON, and a layout newer than `newest`.
  void require_schema(int64_t newest) const;

  const std::string& place() const { return place_; }
  const std::string& what() const { return what_; }

 private:
  const core::Json& object_;
  std::string place_;
  std::string what_;
  std::string above_;  ///< "context." in the object under "context"
};

}  // namespace ddpm_eval::eval
