#include "base/core/interrupt.h"

#include <atomic>
#include <csignal>
#include <ctime>
#include <initializer_list>

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

namespace ddpm_eval::core {
namespace {

std::atomic<bool> requested = false;

/// Of one request, as a terminal that is closed and a batch system send several at once.
constexpr double kOneRequest_s = 0.5;

double seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// By one thread at a time.
void take_signal() {
  static double first = 0;
  if (!requested.exchange(true)) {
    first = seconds();
  } else if (seconds() - first > kOneRequest_s) {
    ::_exit(130);
  }
}

/// `taken` lives as long as the process.
void* take_signals(void* taken) {
  for (;;) {
    int number = 0;
    if (::sigwait(static_cast<const sigset_t*>(taken), &number) == 0) {
      take_signal();
    }
  }
}

}  // namespace

void install_interrupt_handler() {
  static sigset_t taken;
  sigset_t ignored;
  ::sigemptyset(&taken);
  ::sigemptyset(&ignored);
  bool any = false;
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    ::sigaction(number, nullptr, &before);
    // Whoever started the process with a signal ignored, as nohup and a shell's background jobs do, meant it.
    const bool ignore = before.sa_handler == SIG_IGN;
    ::sigaddset(ignore ? &ignored : &taken, number);
    any = any || !ignore;
  }
  ::sigprocmask(SIG_UNBLOCK, &ignored, nullptr);
  ::sigprocmask(SIG_BLOCK, &taken, nullptr);
  // A closed pipe or a limit on the size of files is an error of the write, told like any other; it must not
  // end a training.
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  if (!any) {
    return;
  }
  // Those that the launcher has held back while the libraries were loaded.
  const timespec at_once{};
  while (::sigtimedwait(&taken, nullptr, &at_once) > 0) {
    take_signal();
  }
  pthread_t thread{};
  if (::pthread_create(&thread, nullptr, take_signals, &taken) == 0) {
    ::pthread_detach(thread);
  } else {
    ::sigprocmask(SIG_UNBLOCK, &taken,
                  nullptr);  // a signal then ends the process, which is better than never
  }
}

bool interrupt_requested() { return requested; }

void request_interrupt(bool value) { requested = value; }

}  // namespace ddpm_eval::core
