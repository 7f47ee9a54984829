#pragma once

#include "base/core/config.h"

#include <string>

#include <nlohmann/json.hpp>

// Private to base/core: what config_tree.cpp parses and config.cpp binds.
namespace ddpm_eval::core {

struct ConfigTree::Impl {
  nlohmann::ordered_json root = nlohmann::ordered_json::object();
  std::string origin = "defaults";
};

}  // namespace ddpm_eval::core
