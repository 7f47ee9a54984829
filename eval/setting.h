#pragma once

#include "base/core/config.h"

#include <string>
#include <vector>

namespace CLI {
class App;
}

// Options of commands that stand for configuration keys. Whatever is wrong with such a value is told with the
// flag that gave it, by core::named_as_given().
namespace ddpm_eval::eval {

/// "sample.steps=50", laid over a configuration, and how messages name where it was said.
struct Setting {
  std::string assignment;
  std::string origin;
};

/// A flag that sets a key.
struct KeyFlag {
  std::string flag;  ///< "--steps"
  std::string key;   ///< "sample.steps"
  std::string help;
  std::string standard{};  ///< the default, for the help; empty: not told
  bool text = false;       ///< the key is a string: no quotes are needed, whatever the value looks like
};

/// Each flag that is given puts a setting into `settings`, which must live until the command has run.
void add_key_flags(CLI::App& command, const std::vector<KeyFlag>& flags, std::vector<Setting>& settings);

/// Sets them in their order. Throws UsageError.
void lay_over(core::ConfigTree& tree, const std::vector<Setting>& settings);

}  // namespace ddpm_eval::eval
