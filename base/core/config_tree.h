#pragma once

#include "base/core/config.h"

#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

// Private to base/core: what config_tree.cpp parses and config.cpp binds.
namespace ddpm_eval::core {

struct ConfigTree::Impl {
  nlohmann::ordered_json root = nlohmann::ordered_json::object();
  using Overrides = std::vector<std::pair<std::string, std::string>>;
  std::string origin;     ///< the file; empty where there is none
  Overrides overrides{};  ///< full key, and who set it; in order

  /// Who to name for what is wrong with `key`: the last override of it, of its section or of a key below it,
  /// else the file.
  const std::string& origin_of(const std::string& key) const;
  std::string name_of(const std::string& key) const;

 private:
  Overrides::const_reverse_iterator last_override_of(const std::string& key) const;
};

}  // namespace ddpm_eval::core
