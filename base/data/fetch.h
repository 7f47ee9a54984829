#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace ddpm_eval::data {

/// What to fetch, where to put it, how to know that it is right, and how patient to be.
struct FetchRequest {
  std::vector<std::string> urls;  ///< mirrors in the order of trying; http, https or file
  std::filesystem::path target;

  std::optional<std::string> sha256;  ///< 64 lower-case hexadecimal digits
  std::optional<uint64_t> size;       ///< bytes
  uint64_t max_bytes = 1 << 30;       ///< where `size` is not known
  /// Looks at the whole file before it is installed; throws DataError if it is not what was wanted.
  std::function<void(const std::filesystem::path& file)> check;

  int attempts = 5;  ///< per mirror
  std::chrono::milliseconds connect_limit{15000};
  std::chrono::milliseconds stall_limit{30000};  ///< longest time without a byte
  std::chrono::milliseconds first_pause{
      1000};  ///< before the second attempt; doubles each time, at most 30 s
};

struct FetchReport {
  std::string url;     ///< the mirror that delivered the last byte; empty if the partial file was whole
  std::string sha256;  ///< of the installed file
  uint64_t bytes = 0;  ///< of the installed file
  uint64_t resumed_from = 0;  ///< bytes already there when the last transfer began
  int attempts = 0;           ///< transfers begun, over all mirrors
};

/// done of total bytes; total 0 means unknown.
using FetchProgress = std::function<void(int64_t done, int64_t total)>;

/// Fetches a file over the network and installs it under `target` whole and checked, or not at all.
///
/// Bytes gather in `<target>.part`, which is locked against other processes. If the request has a SHA-256 or
/// a check, a broken transfer goes on where it stopped, in a later call too, and a file put together from
/// several transfers that turns out wrong is fetched once more from its beginning; without either, every
/// attempt begins anew. A server that ignores ranges sends the whole file. Proxies are libcurl's
/// (`https_proxy`, ...), TLS certificates are verified, at most eight redirects are followed and none from
/// https to http.
///
/// Throws UsageError for a URL of another scheme, ResourceError if no mirror could deliver (network, server,
/// disk), DataError if one did but the content was wrong, InterruptedError on Ctrl-C (the partial file
/// stays).
FetchReport fetch_file(const FetchRequest& request, const FetchProgress& progress = {});

}  // namespace ddpm_eval::data
