#pragma once

// Ctrl-C asks; long loops look here at safe points, save and throw InterruptedError. Only the program
// installs the handler: a library user keeps its own.
namespace ddpm_eval::core {

/// SIGINT, SIGTERM and SIGHUP set the flag; a second one ends the process at once with exit code 130. Those
/// that the process was started with ignored (nohup) stay ignored, those it was started with blocked are
/// unblocked, and SIGPIPE becomes ignored.
void install_interrupt_handler();

bool interrupt_requested();

/// For tests, and for callers with a handler of their own.
void request_interrupt(bool requested);

}  // namespace ddpm_eval::core
