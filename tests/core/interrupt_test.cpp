#include "base/core/interrupt.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

namespace ddpm_eval::core {
namespace {

// Each in a process of its own, whose exit code tells what was seen.

/// As another process sends it. Signals are taken by another thread, a little later.
void send(int number) { ::kill(::getpid(), number); }

bool becomes_requested() {
  for (int turn = 0; turn < 5000 && !interrupt_requested(); ++turn) {
    ::usleep(1000);
  }
  return interrupt_requested();
}

TEST(Interrupt, IsAskedForByTheFirstSignalAndEndsAtTheSecond) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    EXPECT_EXIT(
        {
          ::signal(number, SIG_DFL);
          install_interrupt_handler();
          send(number);
          std::_Exit(becomes_requested() ? 42 : 1);
        },
        ::testing::ExitedWithCode(42), "");
    EXPECT_EXIT(
        {
          ::signal(number, SIG_DFL);
          install_interrupt_handler();
          send(number);
          becomes_requested();
          ::usleep(600'000);
          send(number);
          ::sleep(5);
          std::_Exit(1);
        },
        ::testing::ExitedWithCode(130), "");
  }
}

TEST(Interrupt, SeveralSignalsAtOnceAreOneRequest) {
  EXPECT_EXIT(
      {
        ::signal(SIGTERM, SIG_DFL);
        ::signal(SIGHUP, SIG_DFL);
        install_interrupt_handler();
        send(SIGTERM);
        becomes_requested();
        send(SIGHUP);
        send(SIGTERM);
        ::usleep(100'000);
        std::_Exit(42);
      },
      ::testing::ExitedWithCode(42), "");
}

TEST(Interrupt, SignalsThatTheParentIgnoresStayIgnored) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    EXPECT_EXIT(
        {
          ::signal(number, SIG_IGN);
          install_interrupt_handler();
          send(number);
          send(number);
          ::usleep(100'000);
          std::_Exit(interrupt_requested() ? 1 : 42);
        },
        ::testing::ExitedWithCode(42), "");
  }
}

TEST(Interrupt, WhatCameBeforeCounts) {
  EXPECT_EXIT(
      {
        ::signal(SIGTERM, SIG_DFL);
        sigset_t held;
        ::sigemptyset(&held);
        ::sigaddset(&held, SIGTERM);
        ::sigprocmask(SIG_BLOCK, &held, nullptr);
        send(SIGTERM);
        install_interrupt_handler();
        std::_Exit(interrupt_requested() ? 42 : 1);  // at once
      },
      ::testing::ExitedWithCode(42), "");
}

// oneDNN's matrix products have their stack pointer in the heap.
TEST(Interrupt, NoOtherThreadRunsAHandler) {
  EXPECT_EXIT(
      {
        for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
          ::signal(number, SIG_DFL);
        }
        install_interrupt_handler();
        bool blocked = false;
        std::thread([&] {
          sigset_t mask;
          ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
          blocked = ::sigismember(&mask, SIGINT) == 1 && ::sigismember(&mask, SIGTERM) == 1 &&
                    ::sigismember(&mask, SIGHUP) == 1;
        }).join();
        std::_Exit(blocked ? 42 : 1);
      },
      ::testing::ExitedWithCode(42), "");
}

TEST(Interrupt, ALimitOnFileSizesIsAnErrorOfTheWrite) {
  EXPECT_EXIT(
      {
        install_interrupt_handler();
        const rlimit none = {};
        ::setrlimit(RLIMIT_FSIZE, &none);
        std::FILE* file = std::tmpfile();
        const bool refused = file != nullptr && ::write(::fileno(file), "x", 1) == -1 && errno == EFBIG;
        std::_Exit(refused ? 42 : 1);
      },
      ::testing::ExitedWithCode(42), "");
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
