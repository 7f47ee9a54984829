#include "base/core/paths.h"

#include "base/core/environment.h"

namespace ddpm_eval::core {
namespace fs = std::filesystem;

fs::path home_folder() {
  if (auto home = environment_value("DDPM_EVAL_HOME"); !home.empty()) {
    return home;
  }
  const auto user = environment_value("HOME");
  return fs::path(user.empty() ? "." : user) / ".cache" / "ddpm-eval";
}

std::vector<fs::path> data_candidates(const std::string& name) {
  return {home_folder() / "data" / name, fs::path("/usr/share/datasets") / name};
}

fs::path weights_path(const std::string& name) { return home_folder() / "weights" / name; }

}  // namespace ddpm_eval::core
