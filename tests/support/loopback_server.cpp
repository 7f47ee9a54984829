#include "tests/support/loopback_server.h"

#include <algorithm>
#include <stdexcept>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ddpm_eval::testing {
namespace {

/// Waits until the socket can be read; false once `stop` is set or the peer has gone.
bool wait_readable(int socket, const std::atomic<bool>& stop) {
  while (!stop) {
    pollfd entry{socket, POLLIN, 0};
    const int ready = ::poll(&entry, 1, 20);
    if (ready > 0) {
      return true;
    }
  }
  return false;
}

/// The request's head, up to the empty line.
std::string read_head(int connection, const std::atomic<bool>& stop) {
  std::string head;
  char buffer[2048];
  while (head.find("\r\n\r\n") == std::string::npos && wait_readable(connection, stop)) {
    const ssize_t got = ::recv(connection, buffer, sizeof(buffer), 0);
    if (got <= 0) {
      break;
    }
    head.append(buffer, static_cast<size_t>(got));
  }
  return head;
}

void send_all(int connection, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) {
      return;
    }
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

ServedRequest parse(const std::string& head) {
  ServedRequest request;
  const auto first = head.find(' ');
  const auto second = head.find(' ', first + 1);
  if (first != std::string::npos && second != std::string::npos) {
    request.path = head.substr(first + 1, second - first - 1);
  }
  constexpr std::string_view kRange = "Range: bytes=";
  if (const auto at = head.find(kRange); at != std::string::npos) {
    request.range_from = std::stoull(head.substr(at + kRange.size(), 20));
  }
  return request;
}

}  // namespace

LoopbackServer::LoopbackServer(std::function<Answer(const ServedRequest&, int)> answer)
    : answer_(std::move(answer)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (listener_ < 0 || ::bind(listener_, generic, length) != 0 || ::listen(listener_, 16) != 0 ||
      ::getsockname(listener_, generic, &length) != 0) {
    throw std::runtime_error("the loopback server cannot listen");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

LoopbackServer::~LoopbackServer() {
  stop_ = true;
  thread_.join();
  ::close(listener_);
}

std::string LoopbackServer::url(const std::string& path) const {
  return fmt::format("http://127.0.0.1:{}/{}", port_, path);
}

std::vector<ServedRequest> LoopbackServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void LoopbackServer::run() {
  while (wait_readable(listener_, stop_)) {
    const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection >= 0) {
      serve(connection);
      ::close(connection);
    }
  }
}

void LoopbackServer::serve(int connection) {
  const ServedRequest request = parse(read_head(connection, stop_));
  int index = 0;
  {
    const std::lock_guard lock(mutex_);
    index = static_cast<int>(requests_.size());
    requests_.push_back(request);
  }
  const Answer answer = answer_(request, index);
  std::string body = answer.body;
  std::string head;
  int status = answer.status;
  if (status == 200 && answer.honour_range && request.range_from) {
    const uint64_t total = body.size();
    if (*request.range_from >= total) {
      status = 416;
      body.clear();
    } else {
      status = 206;
      const uint64_t from = answer.claim_range_from.value_or(*request.range_from);
      body.erase(0, *request.range_from);
      head += fmt::format("Content-Range: bytes {}-{}/{}\r\n", from, total - 1, total);
    }
  }
  if (!answer.redirect_to.empty()) {
    head += fmt::format("Location: {}\r\n", answer.redirect_to);
  }
  if (answer.announce_length) {
    head += fmt::format("Content-Length: {}\r\n", body.size());
  }
  if (answer.corrupt_at && *answer.corrupt_at < body.size()) {
    body[*answer.corrupt_at] = static_cast<char>(body[*answer.corrupt_at] ^ 0x40);
  }
  send_all(connection, fmt::format("HTTP/1.1 {} Reason\r\n{}Connection: close\r\n\r\n", status, head));
  const size_t end = std::min(
      {body.size(), answer.cut_after.value_or(body.size()), answer.stall_after.value_or(body.size())});
  send_all(connection, std::string_view(body).substr(0, end));
  if (answer.stall_after) {
    wait_readable(connection, stop_);  // the client hanging up makes it readable
  }
}

}  // namespace ddpm_eval::testing
