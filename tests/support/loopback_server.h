#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace ddpm_eval::testing {

/// One request as the server saw it.
struct ServedRequest {
  std::string path;
  std::optional<uint64_t> range_from;  ///< of "Range: bytes=N-"
};

/// How the server answers one request. The defaults behave well.
struct Answer {
  std::string body;
  int status = 200;
  bool honour_range = true;
  bool announce_length = true;        ///< Content-Length; without it the end of the connection is the end
  std::optional<size_t> cut_after;    ///< body bytes after which the connection is closed
  std::optional<size_t> stall_after;  ///< body bytes after which nothing comes until the client goes
  std::optional<size_t> corrupt_at;   ///< body byte (of what is sent) that arrives wrong
  std::optional<uint64_t> claim_range_from;  ///< a Content-Range that was not asked for
  std::string redirect_to;                   ///< Location; status should be 302
};

/// An HTTP server on 127.0.0.1 for tests of what real servers do wrong. One connection at a time, one request
/// per connection; answers come from a function that may depend on how many requests came before.
class LoopbackServer {
 public:
  /// `answer(request, index)`: index counts the requests from 0. It runs on the server's thread.
  explicit LoopbackServer(std::function<Answer(const ServedRequest& request, int index)> answer);
  ~LoopbackServer();
  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;

  /// "http://127.0.0.1:PORT/" + path.
  std::string url(const std::string& path) const;
  std::vector<ServedRequest> requests() const;

 private:
  void run();
  void serve(int connection);

  std::function<Answer(const ServedRequest&, int)> answer_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  mutable std::mutex mutex_;
  std::vector<ServedRequest> requests_;
  std::thread thread_;
};

}  // namespace ddpm_eval::testing
