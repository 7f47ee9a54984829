#pragma once

#include <string>

// Addresses of this machine, for processes that meet.
namespace ddpm_eval::core {

/// Its name.
std::string host_name();

/// The address of this machine that leads to `host`; nothing is sent. With `reachable` none of the loopback
/// if there is another: a machine's own name often means that. Throws ResourceError where no name or way is
/// known.
std::string own_address_towards(const std::string& host, int port, bool reachable);

/// Whether somebody answers at a port of `host` now.
bool is_served(const std::string& host, int port);

/// A port of 127.0.0.1 that nobody listens at now. Throws ResourceError.
int free_local_port();

}  // namespace ddpm_eval::core
