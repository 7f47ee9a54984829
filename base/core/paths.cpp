#include "base/core/paths.h"

#include <cstdlib>

namespace ddpm_eval::core {
namespace fs = std::filesystem;

fs::path home_folder() {
  if (const char* home = std::getenv("DDPM_EVAL_HOME"); home != nullptr && *home != '\0') {
    return home;
  }
  const char* user = std::getenv("HOME");
  return fs::path(user != nullptr && *user != '\0' ? user : ".") / ".cache" / "ddpm-eval";
}

std::vector<fs::path> data_candidates(const std::string& name) {
  return {home_folder() / "data" / name, fs::path("/usr/share/datasets") / name};
}

fs::path weights_path(const std::string& name) { return home_folder() / "weights" / name; }

}  // namespace ddpm_eval::core
