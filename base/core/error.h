#pragma once

#include <stdexcept>
#include <string>

#include <fmt/format.h>

// Three kinds of failure. Something the user can mend is one of the exceptions below, whose message is one
// line that names the file or key and says what to do. A broken precondition is a bug: DDPM_CHECK throws
// LogicError. An ordinary absence is a std::optional or an outcome struct. Libraries neither print nor exit:
// eval/main.cpp alone turns an exception into an exit code.
namespace ddpm_eval::core {

/// Exit codes of the program; scripts rely on them.
enum class ExitCode : int {
  kDone = 0,
  kBug = 1,
  kUsage = 2,
  kBadData = 3,
  kRegression = 4,
  kDiverged = 5,
  kNotComparable = 6,
  kResources = 7,
  kInterrupted = 130,
};

/// The configuration key that an error is about, as "train.steps". Who set it, by which flag or in which
/// file, is not known where values are checked: see named_as_given() in base/core/config.h.
struct Key {
  std::string name;
};

/// Base of every error meant for the user.
class Error : public std::runtime_error {
 public:
  /// A NUL in the message, which would end what(), becomes "\\x00".
  Error(ExitCode code, const std::string& message);
  /// The message is "train.steps: 0 is below 1".
  Error(ExitCode code, const Key& key, const std::string& problem) : Error(code, key.name + ": " + problem) {
    key_ = key.name;
    problem_ = problem;
  }

  ExitCode code() const { return code_; }
  /// Empty where the error is about none, or the message names it already as the user gave it.
  const std::string& key() const { return key_; }
  /// The message without its key.
  const std::string& problem() const { return problem_; }

 private:
  ExitCode code_;
  std::string key_;
  std::string problem_;
};

/// A wrong flag, configuration key or value. Exit code 2.
class UsageError final : public Error {
 public:
  template <class... Args>
  explicit UsageError(fmt::format_string<Args...> format, Args&&... args)
      : Error(ExitCode::kUsage, fmt::format(format, std::forward<Args>(args)...)) {}
  template <class... Args>
  UsageError(const Key& key, fmt::format_string<Args...> format, Args&&... args)
      : Error(ExitCode::kUsage, key, fmt::format(format, std::forward<Args>(args)...)) {}
};

/// A missing, damaged or unsuitable file, or data for which a number is undefined. Exit code 3.
class DataError final : public Error {
 public:
  template <class... Args>
  explicit DataError(fmt::format_string<Args...> format, Args&&... args)
      : Error(ExitCode::kBadData, fmt::format(format, std::forward<Args>(args)...)) {}
  template <class... Args>
  DataError(const Key& key, fmt::format_string<Args...> format, Args&&... args)
      : Error(ExitCode::kBadData, key, fmt::format(format, std::forward<Args>(args)...)) {}
};

/// Training produced a non-finite number. Exit code 5.
class DivergedError final : public Error {
 public:
  template <class... Args>
  explicit DivergedError(fmt::format_string<Args...> format, Args&&... args)
      : Error(ExitCode::kDiverged, fmt::format(format, std::forward<Args>(args)...)) {}
};

/// Two numbers or files whose contexts differ were to be compared. Exit code 6.
class NotComparableError final : public Error {
 public:
  template <class... Args>
  explicit NotComparableError(fmt::format_string<Args...> format, Args&&... args)
      : Error(ExitCode::kNotComparable, fmt::format(format, std::forward<Args>(args)...)) {}
};

/// Disk, memory or permission ran out. Exit code 7.
class ResourceError final : public Error {
 public:
  template <class... Args>
  explicit ResourceError(fmt::format_string<Args...> format, Args&&... args)
      : Error(ExitCode::kResources, fmt::format(format, std::forward<Args>(args)...)) {}
  template <class... Args>
  ResourceError(const Key& key, fmt::format_string<Args...> format, Args&&... args)
      : Error(ExitCode::kResources, key, fmt::format(format, std::forward<Args>(args)...)) {}
};

/// Stopped by the user; what had been done is saved. Exit code 130.
class InterruptedError final : public Error {
 public:
  template <class... Args>
  explicit InterruptedError(fmt::format_string<Args...> format, Args&&... args)
      : Error(ExitCode::kInterrupted, fmt::format(format, std::forward<Args>(args)...)) {}
};

/// A bug in this program. Exit code 1.
class LogicError final : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

namespace detail {
[[noreturn]] void check_failed(const char* condition, const char* file, int line, const std::string& message);
}  // namespace detail

}  // namespace ddpm_eval::core

/// Asserts what the code itself guarantees; never for input. LibTorch's and glog's CHECK macros abort: do not
/// use them.
#define DDPM_CHECK(condition, ...)                                                                         \
  do {                                                                                                     \
    if (!(condition)) [[unlikely]] {                                                                       \
      ::ddpm_eval::core::detail::check_failed(#condition, __FILE__, __LINE__, ::fmt::format(__VA_ARGS__)); \
    }                                                                                                      \
  } while (false)
