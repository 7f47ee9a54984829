#include "base/core/interrupt.h"

#include <cerrno>
#include <cstdlib>

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

namespace ddpm_eval::core {
namespace {

// Each in a process of its own, whose exit code tells what was seen.

TEST(Interrupt, IsAskedForByTheFirstSignalAndEndsAtTheSecond) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    EXPECT_EXIT(
        {
          ::signal(number, SIG_DFL);
          install_interrupt_handler();
          ::raise(number);
          std::_Exit(interrupt_requested() ? 42 : 1);
        },
        ::testing::ExitedWithCode(42), "");
    EXPECT_EXIT(
        {
          ::signal(number, SIG_DFL);
          install_interrupt_handler();
          ::raise(number);
          ::raise(number);
          std::_Exit(1);
        },
        ::testing::ExitedWithCode(130), "");
  }
}

TEST(Interrupt, SignalsThatTheParentIgnoresStayIgnored) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    EXPECT_EXIT(
        {
          ::signal(number, SIG_IGN);
          install_interrupt_handler();
          ::raise(number);
          ::raise(number);
          std::_Exit(interrupt_requested() ? 1 : 42);
        },
        ::testing::ExitedWithCode(42), "");
  }
}

TEST(Interrupt, AClosedPipeIsAnErrorOfTheWrite) {
  EXPECT_EXIT(
      {
        install_interrupt_handler();
        int ends[2];
        const bool open = ::pipe(ends) == 0 && ::close(ends[0]) == 0;
        const bool refused = ::write(ends[1], "x", 1) == -1 && errno == EPIPE;
        std::_Exit(open && refused ? 42 : 1);
      },
      ::testing::ExitedWithCode(42), "");
}

}  // namespace
}  // namespace ddpm_eval::core
