#pragma once

#include "eval/report/page.h"

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

// Records of scores and bounds as parts of pages.
namespace ddpm_eval::eval {

/// A record from a file and where in it one is. What is missing or of another type is a DataError that names
/// both.
class RecordPlace {
 public:
  RecordPlace(const nlohmann::ordered_json& value, std::string file, std::string kind, std::string path = {})
      : value_(value), file_(std::move(file)), kind_(std::move(kind)), path_(std::move(path)) {}

  bool has(const char* key) const { return value_.is_object() && value_.contains(key); }
  RecordPlace at(const char* key) const;
  /// For people.
  std::string text() const { return shown_value(value_); }
  double number() const;
  const nlohmann::ordered_json& value() const { return value_; }
  /// An element of this list.
  RecordPlace element(const nlohmann::ordered_json& one) const { return {one, file_, kind_, path_ + "[]"}; }

 private:
  const nlohmann::ordered_json& value_;
  std::string file_;
  std::string kind_;
  std::string path_;
};

/// The samples beside their yardsticks and floor, with their standard errors and intervals and what they are
/// measured against. What is missing or of another type is a DataError that names file and field.
Html score_part(const nlohmann::ordered_json& record, const std::string& file);

/// The parts of a bound, its curve if `curve` is there, and progressive coding.
Html likelihood_part(const nlohmann::ordered_json& record, const std::string& file,
                     const std::filesystem::path& curve, Page& page);

/// What a record says of the program, the machine and the settings that made it.
Facts context_facts(const nlohmann::ordered_json& record);

/// "FID" for "frechet_inception_distance"; the key itself where it has no other name.
std::string metric_name(const std::string& key);

}  // namespace ddpm_eval::eval
