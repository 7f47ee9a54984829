#include "eval/setting.h"

#include "base/core/record.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {

void add_key_flags(CLI::App& command, const std::vector<KeyFlag>& flags, std::vector<Setting>& settings) {
  for (const auto& flag : flags) {
    const auto set = [&settings, flag](const std::string& value) {
      settings.push_back({fmt::format("{}={}", flag.key, flag.text ? core::json_text(value) : value),
                          fmt::format("{} {}", flag.flag, value)});
    };
    auto* option = command.add_option_function<std::string>(flag.flag, set, flag.help);
    if (!flag.standard.empty()) {
      option->default_str(flag.standard);
    }
  }
}

void lay_over(core::ConfigTree& tree, const std::vector<Setting>& settings) {
  for (const auto& setting : settings) {
    tree.set(setting.assignment, setting.origin);
  }
}

}  // namespace ddpm_eval::eval
