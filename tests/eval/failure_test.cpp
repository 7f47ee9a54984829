#include "eval/failure.h"

#include "base/core/not_finite.h"

#include <filesystem>
#include <new>
#include <stdexcept>
#include <system_error>

#include <c10/util/Exception.h>
#include <gtest/gtest.h>

namespace ddpm_eval::eval {
namespace {

using core::ExitCode;

template <class Exception>
Failure failure_of(const Exception& exception) {
  return classify(std::make_exception_ptr(exception));
}

void expect(const Failure& failure, ExitCode code, const std::string& message) {
  EXPECT_EQ(failure.code, code);
  EXPECT_EQ(failure.message, message);
}

TEST(Classify, OurErrorsHaveTheirOwnCodes) {
  expect(failure_of(core::UsageError("--x: no")), ExitCode::kUsage, "--x: no");
  expect(failure_of(core::NotFiniteError("a bound is nan")), ExitCode::kBadData, "a bound is nan");
  expect(failure_of(core::InterruptedError("later")), ExitCode::kInterrupted, "later");
}

TEST(Classify, TheMachinesRefusalsAreResources) {
  const auto full = std::make_error_code(std::errc::no_space_on_device);
  expect(failure_of(std::filesystem::filesystem_error("rename", "a/b", full)), ExitCode::kResources,
         "a/b: No space left on device");
  expect(failure_of(std::system_error(full, "write")), ExitCode::kResources,
         "write: No space left on device");
  expect(failure_of(std::bad_alloc()), ExitCode::kResources, "out of memory");
  expect(failure_of(std::length_error("vector")), ExitCode::kResources, "out of memory");
  expect(failure_of(c10::Error({"f", "x.cpp", 1}, "DefaultCPUAllocator: can't allocate memory: you tried")),
         ExitCode::kResources, "out of memory");
  const auto card = failure_of(c10::OutOfMemoryError({"f", "x.cpp", 1}, "CUDA out of memory. Tried"));
  EXPECT_EQ(card.code, ExitCode::kResources);
  EXPECT_EQ(card.message.substr(0, 24), "out of memory on the GPU");
}

TEST(Classify, AllElseIsABugInOneLine) {
  const std::string bug = "this is a bug, please report it: ";
  expect(failure_of(std::runtime_error("first\nsecond")), ExitCode::kBug, bug + "first");
  expect(failure_of(core::LogicError("n > 0 does not hold")), ExitCode::kBug, bug + "n > 0 does not hold");
  expect(failure_of(7), ExitCode::kBug, bug + "something was thrown that is no exception");
  const auto torch = failure_of(c10::Error({"f", "x.cpp", 1}, "shapes differ\nmore"));
  EXPECT_EQ(torch.code, ExitCode::kBug);
  EXPECT_EQ(torch.message.substr(0, 46), bug + "shapes differ");
}

}  // namespace
}  // namespace ddpm_eval::eval
