#pragma once

#include "base/core/error.h"

#include <exception>
#include <string>

namespace ddpm_eval::eval {

/// How the program ends for an exception, or what is told of a job that it has ended.
struct Failure {
  core::ExitCode code = core::ExitCode::kBug;
  std::string message;  ///< one line but for names of files, which core::printable() mends
};

/// An error of ours has its own code. The operating system's refusals and memory that ran out, LibTorch's
/// way of saying so included, are kResources. All else is a bug, and is called one.
Failure classify(const std::exception_ptr& exception);

}  // namespace ddpm_eval::eval
