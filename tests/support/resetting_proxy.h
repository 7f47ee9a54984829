#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <thread>
#include <vector>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ddpm_eval::testing {

/// Stands between processes and a port of 127.0.0.1, until it ends all connections as a machine does that has
/// failed and come back: by a reset.
class ResettingProxy {
 public:
  explicit ResettingProxy(int target) : target_(target), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    auto any = address_of(0);
    socklen_t size = sizeof(any);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&any), size) != 0 || ::listen(listener_, 16) != 0) {
      throw std::runtime_error("no port to listen at");
    }
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&any), &size);
    port_ = ntohs(any.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~ResettingProxy() {
    reset_ = true;
    thread_.join();
  }
  ResettingProxy(const ResettingProxy&) = delete;
  ResettingProxy& operator=(const ResettingProxy&) = delete;

  int port() const { return port_; }
  void reset() { reset_ = true; }

 private:
  static constexpr int kLookMs = 20;

  struct Way {
    int from;
    int to;
    bool ended = false;
  };

  static sockaddr_in address_of(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    return address;
  }

  void run() {
    while (!reset_) {
      std::vector<pollfd> watched{{listener_, POLLIN, 0}};
      for (const auto& way : ways_) {
        watched.push_back({way.ended ? -1 : way.from, POLLIN, 0});
      }
      ::poll(watched.data(), watched.size(), kLookMs);
      for (size_t i = 1; i < watched.size(); ++i) {
        auto& way = ways_[i - 1];
        way.ended = way.ended || (watched[i].revents != 0 && !pass_on(way));
      }
      if (watched.front().revents != 0) {
        connect(::accept(listener_, nullptr, nullptr));
      }
    }
    ::close(listener_);
    for (const auto& way : ways_) {  // each socket is the beginning of one
      const linger at_once{.l_onoff = 1, .l_linger = 0};
      ::setsockopt(way.from, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
      ::close(way.from);
    }
  }

  void connect(int client) {
    const auto address = address_of(target_);
    while (!reset_) {
      const int server = ::socket(AF_INET, SOCK_STREAM, 0);
      if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
        ways_.push_back({client, server});
        ways_.push_back({server, client});
        return;
      }
      ::close(server);  // nobody listens yet
      std::this_thread::sleep_for(std::chrono::milliseconds(kLookMs));
    }
    ::close(client);
  }

  /// Whether more may come.
  static bool pass_on(const Way& way) {
    std::array<char, 65536> buffer;
    const auto size = ::recv(way.from, buffer.data(), buffer.size(), 0);
    if (size <= 0) {
      ::shutdown(way.to, SHUT_WR);
      return false;
    }
    for (ssize_t sent = 0; sent < size;) {
      const auto more = ::send(way.to, buffer.data() + sent, static_cast<size_t>(size - sent), MSG_NOSIGNAL);
      if (more <= 0) {
        return false;
      }
      sent += more;
    }
    return true;
  }

  int target_;
  int listener_;
  int port_ = 0;
  std::atomic<bool> reset_ = false;
  std::vector<Way> ways_;  ///< each connection has two; of the thread
  std::thread thread_;
};

}  // namespace ddpm_eval::testing
