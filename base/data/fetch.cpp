#include "base/data/fetch.h"

#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/interrupt.h"
#include "base/data/transfer.h"

#include <algorithm>
#include <thread>

namespace ddpm_eval::data {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kLongestPause{30000};

/// One fetch_file() call.
class Fetch {
 public:
  Fetch(const FetchRequest& request, const FetchProgress& progress)
      : request_(request), progress_(progress), part_(request.target) {}

  FetchReport run() {
    if (request_.size && part_.size() > *request_.size) {
      part_.clear_or_throw();
    }
    mixed_ = part_.size() > 0;
    report_.resumed_from = part_.size();
    if (checkable() && request_.size && part_.size() == *request_.size && install_if_right()) {
      return report_;
    }
    for (const auto& url : request_.urls) {
      if (try_mirror(url)) {
        report_.url = url;
        return report_;
      }
    }
    const std::string reasons = fmt::format("{}", fmt::join(problems_, "; "));
    if (wrong_content_) {
      throw core::DataError("{}: not fetched: {}", request_.target.string(), reasons);
    }
    throw core::ResourceError("{}: not fetched, try again or use another mirror: {}",
                              request_.target.string(), reasons);
  }

 private:
  /// Whether wrong bytes would be noticed.
  bool checkable() const { return request_.sha256 || request_.check; }

  bool try_mirror(const std::string& url) {
    std::string reason;
    bool restarted = false;
    for (int attempt = 0; attempt < request_.attempts; ++attempt) {
      if (attempt > 0) {
        pause(attempt);
      }
      stop_if_interrupted();
      if (!checkable()) {
        part_.clear_or_throw();
      }
      const uint64_t start = part_.size();
      const Ending ending = run_transfer(request_, url, part_, progress_);
      ++report_.attempts;
      mixed_ = ending.begun ? ending.resumed : mixed_;
      report_.resumed_from = ending.resumed ? start : 0;
      stop_if_interrupted();
      reason = ending.reason;
      if (ending.outcome == Outcome::kWhole) {
        const bool was_mixed = mixed_;
        if (install_if_right()) {
          return true;
        }
        if (!was_mixed || restarted) {
          wrong_content_ = true;
          problems_.push_back(fmt::format("{}: {}", url, problem_));
          return false;
        }
        restarted = true;
      } else if (ending.outcome == Outcome::kStartOver) {
        part_.clear_or_throw();
      } else if (ending.outcome != Outcome::kTryAgain) {
        wrong_content_ = wrong_content_ || ending.outcome == Outcome::kWrongContent;
        break;
      }
    }
    problems_.push_back(fmt::format("{}: {}", url, reason.empty() ? problem_ : reason));
    return false;
  }

  /// Empties the partial file and keeps the reason in problem_ if it is not what was asked for.
  bool install_if_right() {
    problem_.clear();
    report_.bytes = part_.size();
    if (request_.size && part_.size() != *request_.size) {
      problem_ = fmt::format("has {} bytes where {} are expected", part_.size(), *request_.size);
    } else {
      report_.sha256 = core::sha256_of_file(part_.path());
      if (request_.sha256 && report_.sha256 != *request_.sha256) {
        problem_ = fmt::format("its SHA-256 is {}, not {}", report_.sha256, *request_.sha256);
      } else if (request_.check) {
        try {
          request_.check(part_.path());
        } catch (const core::DataError& error) {
          problem_ = error.what();
        }
      }
    }
    if (!problem_.empty()) {
      part_.clear_or_throw();
      mixed_ = false;
      return false;
    }
    part_.install();
    return true;
  }

  void pause(int attempt) const {
    const auto wanted = request_.first_pause * (int64_t{1} << std::min(attempt - 1, 16));
    const auto end = Clock::now() + std::min<milliseconds>(wanted, kLongestPause);
    while (Clock::now() < end && !core::interrupt_requested()) {
      std::this_thread::sleep_for(std::min<Clock::duration>(kLookEvery, end - Clock::now()));
    }
  }

  void stop_if_interrupted() const {
    if (core::interrupt_requested()) {
      throw core::InterruptedError("{}: stopped after {} bytes; run the same command again to {}",
                                   request_.target.string(), part_.size(),
                                   checkable() ? "go on" : "start over");
    }
  }

  const FetchRequest& request_;
  const FetchProgress& progress_;
  PartFile part_;
  FetchReport report_;
  std::vector<std::string> problems_;
  std::string problem_;
  bool mixed_ = false;  ///< the partial file holds bytes of more than one transfer
  bool wrong_content_ = false;
};

}  // namespace

FetchReport fetch_file(const FetchRequest& request, const FetchProgress& progress) {
  DDPM_CHECK(!request.urls.empty() && request.attempts > 0, "nothing to fetch {} from",
             request.target.string());
  for (const auto& url : request.urls) {
    if (!url.starts_with("http://") && !url.starts_with("https://") && !url.starts_with("file://")) {
      throw core::UsageError("{}: not a URL that begins with http://, https:// or file://", url);
    }
  }
  core::make_folders(request.target.parent_path());
  return Fetch(request, progress).run();
}

}  // namespace ddpm_eval::data
