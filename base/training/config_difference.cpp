#include "base/training/config_difference.h"

#include "base/core/json.h"
#include "base/training/checkpoint.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace ddpm_eval::training {
namespace {

using ConfigLeaves = std::vector<std::pair<std::string, core::Json>>;

/// {"train": {"steps": 5}} -> "train.steps": 5.
void flatten(const core::Json& json, const std::string& path, ConfigLeaves& leaves) {
  if (!json.is_object()) {
    leaves.emplace_back(path, json);
    return;
  }
  for (const auto& [key, value] : json.items()) {
    flatten(value, path.empty() ? key : path + "." + key, leaves);
  }
}

std::optional<core::Json> value_in(const ConfigLeaves& leaves, const std::string& key) {
  const auto found = std::ranges::find_if(leaves, [&](const auto& leaf) { return leaf.first == key; });
  return found == leaves.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace

std::optional<ConfigDifference> config_difference(const core::Json& stored, const core::Json& now,
                                                  const SameRun& same) {
  ConfigLeaves old_leaves;
  ConfigLeaves new_leaves;
  ConfigLeaves defaults;
  flatten(stored, "", old_leaves);
  flatten(now, "", new_leaves);
  flatten(core::Json::parse(same.defaults_json), "", defaults);
  std::set<std::string> settled(same.may_change.begin(), same.may_change.end());
  const auto text = [](const std::optional<core::Json>& value) { return value ? value->dump() : "not set"; };
  for (const auto* leaves : {&new_leaves, &old_leaves}) {
    for (const auto& [key, unused] : *leaves) {
      if (!settled.insert(key).second) {
        continue;
      }
      const auto before = value_in(old_leaves, key);
      const auto after = value_in(new_leaves, key);
      if ((before ? before : value_in(defaults, key)) != after) {
        return ConfigDifference{key, text(before), text(after)};
      }
    }
  }
  return std::nullopt;
}

}  // namespace ddpm_eval::training
