#pragma once

#include "base/core/launch.h"
#include "eval/command.h"
#include "eval/failure.h"

#include <exception>
#include <optional>

// A command on several processes: they are those that a launcher has started, or that --procs starts here.
namespace ddpm_eval::eval {

/// Gives a command whose processes need not meet (Session::spread) what is its process' of the machine, where
/// a launcher has started several: threads, the device, and to the first one alone the terminal.
void take_share(Session& session);

/// What this process is among others that it is to meet: nothing where it is alone, or is to start them.
/// Throws UsageError for a --procs that the launcher contradicts, or a command that several processes do not
/// share.
std::optional<core::LaunchedProcess> launched_for(const Session& session);

/// Whether `session` asks for processes that nobody has started.
bool starts_workers(const Session& session, const std::optional<core::LaunchedProcess>& process);

/// Runs this very command line in `session.procs` processes of this machine and returns its exit code. Passes
/// a request to stop on to them.
int run_workers(const Session& session, char** argv);

/// Meets the others. All but the first process are silent from here on. Threads and device that the session
/// leaves open are settled, for processes that share a machine.
void join_workers(const core::LaunchedProcess& process, Session& session);

/// Tells the others of the failure that has ended this process, which `exception` was; true if the user is to
/// be told here.
bool is_spokesman(const std::exception_ptr& exception, const Failure& failure);

}  // namespace ddpm_eval::eval
