#pragma once

#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace ddpm_eval::training {

struct SameRun;

/// The first key in which two configurations differ.
struct ConfigDifference {
  std::string key;     ///< as "train.steps"
  std::string stored;  ///< its value as JSON, or "not set"
  std::string now;
};

/// What makes the run of `now` another one than that of `stored`, both JSON objects of sections: the first
/// key with another value, in the order of `now`, that `same` does not let change. A key that `stored` lacks
/// counts as its default.
std::optional<ConfigDifference> config_difference(const nlohmann::ordered_json& stored,
                                                  const nlohmann::ordered_json& now, const SameRun& same);

}  // namespace ddpm_eval::training
