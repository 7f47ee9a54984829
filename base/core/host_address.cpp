#include "base/core/host_address.h"

#include "base/core/error.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ddpm_eval::core {
namespace {

std::string numeric(const sockaddr* address) {
  const auto size =
      static_cast<socklen_t>(address->sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in));
  std::array<char, NI_MAXHOST> text{};
  const int error = ::getnameinfo(address, size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST);
  return error == 0 ? text.data() : "";
}

bool is_loopback(const std::string& address) { return address.starts_with("127.") || address == "::1"; }

/// Of the first interface that is up and leads away; empty if there is none.
std::string outward_address() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) {
    return "";
  }
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(list, ::freeifaddrs);
  for (const auto* at = list; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr != nullptr && at->ifa_addr->sa_family == AF_INET && (at->ifa_flags & IFF_UP) != 0 &&
        (at->ifa_flags & IFF_LOOPBACK) == 0) {
      return numeric(at->ifa_addr);
    }
  }
  return "";
}

/// Where a datagram to `to` would come from.
std::string source_address(const addrinfo& to) {
  const int socket = ::socket(to.ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) {
    return "";
  }
  sockaddr_storage own{};
  socklen_t size = sizeof(own);
  const bool found = ::connect(socket, to.ai_addr, to.ai_addrlen) == 0 &&
                     ::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &size) == 0;
  ::close(socket);
  return found ? numeric(reinterpret_cast<sockaddr*>(&own)) : "";
}

}  // namespace

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "a host without a name";
}

std::string own_address_towards(const std::string& host, int port, bool reachable) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* list = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list) != 0) {
    throw ResourceError("{}: no machine of this name is known here, where the first process should be", host);
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, ::freeaddrinfo);
  std::string own;
  for (const auto* at = list; at != nullptr && own.empty(); at = at->ai_next) {
    own = source_address(*at);
  }
  if (own.empty()) {
    throw ResourceError("{}: no way leads there from this machine", host);
  }
  if (reachable && is_loopback(own)) {
    const auto outward = outward_address();
    return outward.empty() ? own : outward;
  }
  return own;
}

bool is_served(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list) != 0) {
    return false;
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, ::freeaddrinfo);
  bool answers = false;
  for (const auto* at = list; at != nullptr && !answers; at = at->ai_next) {
    const int socket = ::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    answers = socket >= 0 && ::connect(socket, at->ai_addr, at->ai_addrlen) == 0;
    if (socket >= 0) {
      ::close(socket);
    }
  }
  return answers;
}

int free_local_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  const bool found = socket >= 0 &&
                     ::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 &&
                     ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  const int reason = errno;
  if (socket >= 0) {
    ::close(socket);
  }
  if (!found) {
    throw ResourceError("no port of 127.0.0.1 is free: {}", std::strerror(reason));
  }
  return ntohs(address.sin_port);
}

}  // namespace ddpm_eval::core
