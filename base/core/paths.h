#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace ddpm_eval::core {

/// `$DDPM_EVAL_HOME`, or `~/.cache/ddpm-eval`. Below it: data/, weights/, cache/.
std::filesystem::path home_folder();

/// Where a data set's folder or file may be, in the order of looking: data/<name> under home_folder(), then
/// the places where Debian's packages put it (`/usr/share/datasets/<name>`).
std::vector<std::filesystem::path> data_candidates(const std::string& name);

/// weights/<name> under home_folder().
std::filesystem::path weights_path(const std::string& name);

}  // namespace ddpm_eval::core
