#pragma once

// Ctrl-C asks; long loops look here at safe points, save and throw InterruptedError. Only the program
// installs the handler: a library user keeps its own.
namespace ddpm_eval::core {

/// SIGINT, SIGTERM and SIGHUP set the flag; one that comes more than half a second after the first ends the
/// process at once with exit code 130. Those /// that the process was started with ignored (nohup) stay
/// ignored, and SIGPIPE and SIGXFSZ become so.
///
/// To be called by the first thread before there are others. The signals are blocked in it, and so in all
/// that follow, and a thread of their own waits for them: a handler's frame would be put on the stack of
/// whichever thread is busy, and oneDNN's matrix products have their stack pointer in a buffer of the heap,
/// which the frame then runs over. No call is cut short by a signal (EINTR), so whoever waits looks at the
/// flag from time to time.
void install_interrupt_handler();

bool interrupt_requested();

/// For tests, and for callers with a handler of their own.
void request_interrupt(bool requested);

}  // namespace ddpm_eval::core
