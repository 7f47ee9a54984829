#pragma once

#include "base/core/error.h"

#include <string>

#include <gmock/gmock.h>

namespace ddpm_eval::testing {

/// The message of the `Expected` exception that `action` throws; fails the test if it throws another or none,
/// or if the message is not one line.
template <class Expected, class Action>
std::string message_of(Action&& action) {
  try {
    action();
  } catch (const Expected& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "threw another exception: " << error.what();
    return {};
  }
  ADD_FAILURE() << "threw nothing";
  return {};
}

}  // namespace ddpm_eval::testing
