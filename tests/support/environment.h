#pragma once

#include <optional>
#include <string>

#include <stdlib.h>

namespace ddpm_eval::testing {

/// Sets an environment variable until the end of the scope.
class Environment {
 public:
  Environment(std::string name, const std::string& value) : name_(std::move(name)) {
    if (const char* previous = ::getenv(name_.c_str())) {
      previous_ = previous;
    }
    ::setenv(name_.c_str(), value.c_str(), /*overwrite=*/1);
  }
  ~Environment() {
    if (previous_) {
      ::setenv(name_.c_str(), previous_->c_str(), 1);
    } else {
      ::unsetenv(name_.c_str());
    }
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  std::string name_;
  std::optional<std::string> previous_;
};

}  // namespace ddpm_eval::testing
