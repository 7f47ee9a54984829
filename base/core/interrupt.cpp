#include "base/core/interrupt.h"

#include <csignal>
#include <initializer_list>

#include <signal.h>
#include <unistd.h>

namespace ddpm_eval::core {
namespace {

volatile std::sig_atomic_t requested = 0;

void on_signal(int) {
  if (requested != 0) {
    ::_exit(130);
  }
  requested = 1;
}

}  // namespace

void install_interrupt_handler() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  ::sigemptyset(&action.sa_mask);
  sigset_t handled;
  ::sigemptyset(&handled);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    ::sigaddset(&handled, number);
    struct sigaction before {};
    ::sigaction(number, nullptr, &before);
    // Whoever started the process with a signal ignored, as nohup and a shell's background jobs do, meant it.
    if (before.sa_handler != SIG_IGN) {
      ::sigaction(number, &action, nullptr);
    }
  }
  // The launcher holds these back while the libraries are loaded.
  ::sigprocmask(SIG_UNBLOCK, &handled, nullptr);
  // A closed pipe is an error of the write, told like any other; it must not end a training.
  ::signal(SIGPIPE, SIG_IGN);
}

bool interrupt_requested() { return requested != 0; }

void request_interrupt(bool value) { requested = value ? 1 : 0; }

}  // namespace ddpm_eval::core
