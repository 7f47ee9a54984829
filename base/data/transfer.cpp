#include "base/data/transfer.h"

#include "base/core/build_info.h"
#include "base/core/error.h"
#include "base/core/interrupt.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <string_view>

#include <curl/curl.h>

namespace ddpm_eval::data {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct EasyDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct MultiDeleter {
  void operator()(CURLM* handle) const { curl_multi_cleanup(handle); }
};

/// The first position and the length of the whole in "bytes 100-199/200".
struct ContentRange {
  uint64_t first = 0;
  std::optional<uint64_t> total;
};

std::optional<ContentRange> parse_content_range(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  if (!text.starts_with(kUnit)) {
    return std::nullopt;
  }
  text.remove_prefix(kUnit.size());
  ContentRange range;
  const char* end = text.data() + text.size();
  const auto [dash, error] = std::from_chars(text.data(), end, range.first);
  const char* slash = std::find(dash, end, '/');
  if (error != std::errc() || dash == end || *dash != '-' || slash == end) {
    return std::nullopt;
  }
  uint64_t total = 0;
  if (std::from_chars(slash + 1, end, total).ec == std::errc()) {
    range.total = total;
  }
  return range;
}

/// The easy handle must leave the multi handle before either is cleaned up.
class Attached {
 public:
  Attached(CURLM* multi, CURL* easy) : multi_(multi), easy_(easy) { curl_multi_add_handle(multi_, easy_); }
  ~Attached() { curl_multi_remove_handle(multi_, easy_); }
  Attached(const Attached&) = delete;
  Attached& operator=(const Attached&) = delete;

 private:
  CURLM* multi_;
  CURL* easy_;
};

Ending ending(Outcome outcome, std::string reason) { return {outcome, std::move(reason), false, false}; }

class Transfer {
 public:
  Transfer(const FetchRequest& request, const std::string& url, PartFile& part, const FetchProgress& progress)
      : request_(request), url_(url), part_(part), progress_(progress), asked_from_(part.size()) {}

  Ending run() {
    prepare();
    const auto multi = std::unique_ptr<CURLM, MultiDeleter>(curl_multi_init());
    DDPM_CHECK(multi != nullptr, "libcurl cannot start");
    const Attached attached(multi.get(), easy_.get());
    std::optional<Ending> last;
    while (!last) {
      int running = 0;
      curl_multi_perform(multi.get(), &running);
      report();
      if (running == 0) {
        int left = 0;
        const CURLMsg* message = curl_multi_info_read(multi.get(), &left);
        last = judge(message != nullptr ? message->data.result : CURLE_FAILED_INIT);
      } else if (core::interrupt_requested()) {
        last = ending(Outcome::kTryAgain, "interrupted");
      } else if (Clock::now() - last_byte_ > request_.stall_limit + waiting_allowance()) {
        last =
            ending(Outcome::kTryAgain, fmt::format("nothing came for {} s", seconds(request_.stall_limit)));
      } else {
        curl_multi_poll(multi.get(), nullptr, 0, static_cast<int>(kLookEvery.count()), nullptr);
      }
    }
    last->begun = begun_;
    last->resumed = resumed_;
    return *last;
  }

 private:
  static double seconds(milliseconds time) { return static_cast<double>(time.count()) / 1000; }

  template <class Value>
  void set(CURLoption option, Value value) {
    const CURLcode code = curl_easy_setopt(easy_.get(), option, value);
    DDPM_CHECK(code == CURLE_OK, "libcurl option {}: {}", static_cast<int>(option), curl_easy_strerror(code));
  }

  void prepare() {
    static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
    easy_.reset(curl_easy_init());
    DDPM_CHECK(started == CURLE_OK && easy_ != nullptr, "libcurl cannot start");
    set(CURLOPT_URL, url_.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https,file");
    set(CURLOPT_REDIR_PROTOCOLS_STR, url_.starts_with("https") ? "https" : "http,https");
    set(CURLOPT_FOLLOWLOCATION, 1L);
    set(CURLOPT_MAXREDIRS, 8L);
    set(CURLOPT_FAILONERROR, 1L);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request_.connect_limit.count()));
    set(CURLOPT_USERAGENT, fmt::format("ddpm-eval/{}", core::build_info().version).c_str());
    set(CURLOPT_ERRORBUFFER, message_);
    set(CURLOPT_WRITEFUNCTION, &Transfer::on_bytes);
    set(CURLOPT_WRITEDATA, static_cast<void*>(this));
    if (asked_from_ > 0) {
      // Not CURLOPT_RESUME_FROM: with it libcurl fails when a server sends the whole file instead.
      set(CURLOPT_RANGE, fmt::format("{}-", asked_from_).c_str());
    }
  }

  /// Before the first byte, connecting has a limit of its own.
  milliseconds waiting_allowance() const { return begun_ ? milliseconds(0) : request_.connect_limit; }

  static size_t on_bytes(char* bytes, size_t size, size_t count, void* self) {
    return static_cast<Transfer*>(self)->take(bytes, size * count);
  }

  /// libcurl's writer: anything but `count` ends the transfer.
  size_t take(const char* bytes, size_t count) {
    if (!begun_ && !begin()) {
      return 0;
    }
    last_byte_ = Clock::now();
    const uint64_t limit = request_.size.value_or(request_.max_bytes);
    if (part_.size() + count > limit) {
      refusal_ = ending(Outcome::kWrongContent, fmt::format("sends more than the {} bytes expected", limit));
      part_.clear();
      return 0;
    }
    if (!part_.append(bytes, count)) {
      disk_error_ = errno;
      return 0;
    }
    return count;
  }

  /// Looks at the header before the first byte is stored. False ends the transfer.
  bool begin() {
    begun_ = true;
    long status = 0;
    curl_off_t length = -1;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy_.get(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    const bool http = !url_.starts_with("file:");
    std::optional<uint64_t> total;
    if (http && status == 206) {
      curl_header* header = nullptr;
      const bool found =
          curl_easy_header(easy_.get(), "Content-Range", 0, CURLH_HEADER, -1, &header) == CURLHE_OK;
      const auto range = found ? parse_content_range(header->value) : std::nullopt;
      if (!range || range->first != asked_from_) {
        refusal_ = ending(Outcome::kStartOver, "answers with another part than was asked for");
        return false;
      }
      total = range->total;
    } else if (http && asked_from_ > 0 && !part_.clear()) {
      disk_error_ = errno;  // the server ignores ranges and sends everything, but the old bytes stay
      return false;
    } else if (length >= 0) {
      total = part_.size() + static_cast<uint64_t>(length);
    }
    resumed_ = part_.size() > 0;
    if (total && request_.size && *total != *request_.size) {
      refusal_ = ending(Outcome::kWrongContent,
                        fmt::format("has a file of {} bytes where {} are expected", *total, *request_.size));
      return false;
    }
    total_ = total.value_or(0);
    return true;
  }

  void report() const {
    if (progress_ && begun_) {
      progress_(static_cast<int64_t>(part_.size()), static_cast<int64_t>(request_.size.value_or(total_)));
    }
  }

  Ending judge(CURLcode code) {
    if (code == CURLE_OK && !begun_) {
      begin();  // an empty body
    }
    if (disk_error_ != 0) {
      throw core::ResourceError("{}: cannot be written: {}", part_.path().string(),
                                std::strerror(disk_error_));
    }
    if (refusal_) {
      return *refusal_;
    }
    long status = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    const std::string reason = *message_ != '\0' ? message_ : curl_easy_strerror(code);
    switch (code) {
      case CURLE_OK:
        if (total_ != 0 && part_.size() != total_) {
          return ending(Outcome::kTryAgain, "the answer ended early");
        }
        return ending(Outcome::kWhole, "");
      case CURLE_HTTP_RETURNED_ERROR:
        if (status == 416) {
          return ending(Outcome::kStartOver, "has fewer bytes than are here");
        }
        return ending(status >= 500 || status == 408 || status == 429 ? Outcome::kTryAgain : Outcome::kGiveUp,
                      fmt::format("the server answers {}", status));
      case CURLE_RANGE_ERROR:
      case CURLE_BAD_DOWNLOAD_RESUME:
        return ending(Outcome::kStartOver, reason);
      case CURLE_COULDNT_RESOLVE_HOST:
      case CURLE_COULDNT_RESOLVE_PROXY:
      case CURLE_UNSUPPORTED_PROTOCOL:
      case CURLE_URL_MALFORMAT:
      case CURLE_TOO_MANY_REDIRECTS:
      case CURLE_PEER_FAILED_VERIFICATION:
      case CURLE_FILE_COULDNT_READ_FILE:
        return ending(Outcome::kGiveUp, reason);
      default:
        return ending(Outcome::kTryAgain, reason);
    }
  }

  const FetchRequest& request_;
  const std::string& url_;
  PartFile& part_;
  const FetchProgress& progress_;
  const uint64_t asked_from_;
  std::unique_ptr<CURL, EasyDeleter> easy_;
  char message_[CURL_ERROR_SIZE] = {};
  Clock::time_point last_byte_ = Clock::now();
  bool begun_ = false;
  bool resumed_ = false;
  uint64_t total_ = 0;
  std::optional<Ending> refusal_;
  int disk_error_ = 0;
};

}  // namespace

Ending run_transfer(const FetchRequest& request, const std::string& url, PartFile& part,
                    const FetchProgress& progress) {
  return Transfer(request, url, part, progress).run();
}

}  // namespace ddpm_eval::data
