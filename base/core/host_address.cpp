#include "base/core/host_address.h"

#include "base/core/error.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ddpm_eval::core {
namespace {

using AddressList = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;

/// Empty where the name is not known.
AddressList addresses_of(const std::string& host, int port, int type) {
  addrinfo hints{};
  hints.ai_socktype = type;
  addrinfo* list = nullptr;
  const bool known = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list) == 0;
  return {known ? list : nullptr, ::freeaddrinfo};
}

/// Closes on every way out.
class Socket {
 public:
  Socket(int family, int type) : descriptor_(::socket(family, type | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (is_open()) {
      ::close(descriptor_);
    }
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  bool is_open() const { return descriptor_ >= 0; }
  bool connect(const addrinfo& to) const {
    return is_open() && ::connect(descriptor_, to.ai_addr, to.ai_addrlen) == 0;
  }
  bool bind(const sockaddr_in& address) const {
    return is_open() &&
           ::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }
  bool read_own_address(sockaddr_storage& own) const {
    socklen_t size = sizeof(own);
    return ::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&own), &size) == 0;
  }
  /// A connection to a port of this machine that nobody serves can meet itself there.
  bool is_connected_to_itself(const addrinfo& to) const {
    sockaddr_storage own{};
    return read_own_address(own) && std::memcmp(&own, to.ai_addr, to.ai_addrlen) == 0;
  }

 private:
  int descriptor_;
};

std::string numeric(const sockaddr* address) {
  const auto size =
      static_cast<socklen_t>(address->sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in));
  std::array<char, NI_MAXHOST> text{};
  const int error = ::getnameinfo(address, size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST);
  return error == 0 ? text.data() : "";
}

bool is_loopback(const std::string& address) { return address.starts_with("127.") || address == "::1"; }

/// Of the first interface that is connected and leads away; empty if there is none.
std::string outward_address() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) {
    return "";
  }
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(list, ::freeifaddrs);
  for (const auto* at = list; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr != nullptr && at->ifa_addr->sa_family == AF_INET && (at->ifa_flags & IFF_RUNNING) != 0 &&
        (at->ifa_flags & IFF_LOOPBACK) == 0) {
      return numeric(at->ifa_addr);
    }
  }
  return "";
}

/// Where a datagram to `to` would come from; empty where no way leads there.
std::string source_address(const addrinfo& to) {
  const Socket socket(to.ai_family, SOCK_DGRAM);
  sockaddr_storage own{};
  return socket.connect(to) && socket.read_own_address(own) ? numeric(reinterpret_cast<sockaddr*>(&own)) : "";
}

}  // namespace

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "a host without a name";
}

std::string own_address_towards(const std::string& host, int port, bool reachable) {
  const auto list = addresses_of(host, port, SOCK_DGRAM);
  if (!list) {
    throw ResourceError("{}: no machine of this name is known here, where the first process should be", host);
  }
  std::string own;
  for (const auto* at = list.get(); at != nullptr && own.empty(); at = at->ai_next) {
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
  const auto list = addresses_of(host, port, SOCK_STREAM);
  for (const auto* at = list.get(); at != nullptr; at = at->ai_next) {
    const Socket socket(at->ai_family, SOCK_STREAM);
    if (socket.connect(*at) && !socket.is_connected_to_itself(*at)) {
      return true;
    }
  }
  return false;
}

int free_local_port() {
  const Socket socket(AF_INET, SOCK_STREAM);
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_storage own{};
  if (!socket.bind(any) || !socket.read_own_address(own)) {
    throw ResourceError("no port of 127.0.0.1 is free: {}", std::strerror(errno));
  }
  return ntohs(reinterpret_cast<const sockaddr_in&>(own).sin_port);
}

}  // namespace ddpm_eval::core
