#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace ddpm_eval::ddpm {

/// The keys of one of diffusers' JSON files, each with the value that diffusers takes where it is missing.
/// Whatever is wrong is a DataError that names the file, the key and the value. Private to the readers of
/// such files.
class JsonKeys {
 public:
  using Json = nlohmann::ordered_json;

  /// Throws unless `text` is a JSON object.
  JsonKeys(const std::string& text, std::string origin);

  bool contains(const char* key);
  /// The value, or null.
  Json value(const char* key);
  int64_t whole(const char* key, int64_t missing);
  double number(const char* key, double missing);
  bool flag(const char* key, bool missing);
  std::string word(const char* key, const std::string& missing);
  std::vector<int64_t> wholes(const char* key);
  std::vector<std::string> words(const char* key);

  /// Accepts only a value of `good`. `reason` says why: "this network pads right and bottom".
  void require(const char* key, const Json& missing, std::initializer_list<Json> good, const char* reason);

  /// A key without effect here.
  void ignore(const char* key) { asked_.insert(key); }

  /// Throws for a key that nobody asked for, unless it is null or, as "_diffusers_version", diffusers' own.
  void finish() const;

  [[noreturn]] void refuse(const char* key, const std::string& why);

 private:
  template <class Value>
  Value typed(const char* key, bool fits, const char* expected);

  std::string origin_;
  Json object_;
  std::set<std::string> asked_;
};

}  // namespace ddpm_eval::ddpm
