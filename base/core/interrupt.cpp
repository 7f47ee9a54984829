#include "base/core/interrupt.h"

#include <csignal>

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
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGHUP, &action, nullptr);
}

bool interrupt_requested() { return requested != 0; }

void request_interrupt(bool value) { requested = value ? 1 : 0; }

}  // namespace ddpm_eval::core
