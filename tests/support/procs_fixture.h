#pragma once

#include "tests/support/run_fixture.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include <sys/types.h>

namespace ddpm_eval::testing {

/// The processes that `parent` has started, in the order of their numbers.
inline std::vector<pid_t> children_of(pid_t parent) {
  std::ifstream file("/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) + "/children");
  std::vector<pid_t> children;
  for (pid_t child = 0; file >> child;) {
    children.push_back(child);
  }
  std::ranges::sort(children);
  return children;
}

/// Calls of the program on several processes.
class ProcsTest : public RunFixture {
 protected:
  static Arguments joined(Arguments arguments, const Arguments& more) {
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
};

}  // namespace ddpm_eval::testing
