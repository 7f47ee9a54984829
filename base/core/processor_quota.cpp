#include "base/core/processor_quota.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <string>

namespace ddpm_eval::core {
namespace fs = std::filesystem;

namespace {

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

/// Microseconds of processor time in each period of so many; "max" and -1 are no limit, and so is nonsense.
double limit_of(const std::string& quota, double period) {
  try {
    const double allowed = std::stod(quota);
    return allowed > 0 && period > 0 ? allowed / period : kNoLimit;
  } catch (const std::exception&) {
    return kNoLimit;
  }
}

double version_2_limit(const fs::path& group) {
  std::ifstream file(group / "cpu.max");
  std::string quota;
  double period = 0;
  return file >> quota >> period ? limit_of(quota, period) : kNoLimit;
}

double version_1_limit(const fs::path& group) {
  std::ifstream quota_file(group / "cpu.cfs_quota_us"), period_file(group / "cpu.cfs_period_us");
  std::string quota;
  double period = 0;
  return quota_file >> quota && period_file >> period ? limit_of(quota, period) : kNoLimit;
}

/// The smallest limit from `group` up to the root of `hierarchy`. In a container the group's name may be that
/// of the host: what is not there has no limit.
double smallest_limit(const fs::path& hierarchy, const std::string& group, double (*limit)(const fs::path&)) {
  double smallest = limit(hierarchy);
  fs::path place = hierarchy;
  for (const auto& part : fs::path(group).relative_path()) {
    if (part == "..") {  // a group outside of what this process may see
      return smallest;
    }
    smallest = std::min(smallest, limit(place /= part));
  }
  return smallest;
}

}  // namespace

int processor_quota(const fs::path& root) {
  const fs::path mounts = root / "sys/fs/cgroup";
  double smallest = version_2_limit(mounts);
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // "4:cpu,cpuacct:/user.slice" or "0::/user.slice"
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) {
      continue;
    }
    const auto controllers = line.substr(first + 1, second - first - 1);
    const auto group = line.substr(second + 1);
    if (controllers.empty()) {
      smallest = std::min(smallest, smallest_limit(mounts, group, version_2_limit));
    } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
      // Mounted by all the controllers' names, with a link of each one's, or by one of them alone.
      for (const auto& name : {controllers, std::string("cpu")}) {
        smallest = std::min(smallest, smallest_limit(mounts / name, group, version_1_limit));
      }
    }
  }
  return std::isinf(smallest) ? 0 : static_cast<int>(std::min(std::ceil(smallest), 1e6));
}

}  // namespace ddpm_eval::core
