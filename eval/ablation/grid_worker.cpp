#include "eval/ablation/grid_worker.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/file_lock.h"
#include "base/core/interrupt.h"
#include "base/core/record.h"
#include "base/core/text.h"
#include "base/data/source_spec.h"
#include "eval/ablation/grid_job.h"
#include "eval/console.h"
#include "eval/failure.h"
#include "eval/image_sets.h"

#include <chrono>
#include <cstdio>
#include <exception>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;

/// Standard error into a file, as long as it lives.
class ErrorLog {
 public:
  explicit ErrorLog(const fs::path& file) : before_(::dup(STDERR_FILENO)) {
    const int log = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log < 0) {
      throw core::ResourceError("{}: cannot be written", file.string());
    }
    ::dup2(log, STDERR_FILENO);
    ::close(log);
  }
  ~ErrorLog() {
    std::fflush(stderr);
    ::dup2(before_, STDERR_FILENO);
    ::close(before_);
  }
  ErrorLog(const ErrorLog&) = delete;
  ErrorLog& operator=(const ErrorLog&) = delete;

 private:
  int before_;
};

void tell(const std::string& line) {
  std::fputs((line + "\n").c_str(), stdout);
  std::fflush(stdout);
}

class GridWorker {
 public:
  GridWorker(const GridFolder& folder, const Session& session) : folder_(folder), session_(session) {}

  enum class Round { kNothingLeft, kAllBusy, kWorked };

  Round round() {
    bool left = false;
    for (const auto& job : folder_.jobs()) {
      if (is_settled(folder_, job)) {
        continue;
      }
      left = true;
      if (!is_ready(job)) {
        continue;
      }
      prepare();
      if (try_job(job)) {
        return Round::kWorked;
      }
    }
    return left ? Round::kAllBusy : Round::kNothingLeft;
  }

 private:
  /// The job that trains for others comes first.
  bool is_ready(const GridJob& job) const {
    const size_t owner = folder_.grid().cells[job.cell].owner;
    return owner == job.cell || folder_.training(job);
  }

  /// False if another process has it.
  bool try_job(const GridJob& job) {
    const auto place = folder_.job_folder(job);
    core::make_folders(place);
    const auto lock = core::FileLock::take(place / kJobLockFile);
    if (!lock) {
      return false;
    }
    std::optional<core::FolderLock> old_lock;  // of earlier versions, which know no other
    try {
      old_lock.emplace(place);
    } catch (const core::ResourceError&) {
      return false;
    }
    if (is_settled(folder_, job)) {  // by another process, since it was looked at
      return true;
    }
    tell(fmt::format("job {} {}", job.seed, folder_.grid().cells[job.cell].name));
    const ErrorLog log(place / kJobLogFile);
    attempt(job);
    return true;
  }

  void attempt(const GridJob& job) {
    const auto before = folder_.failure(job);
    const int attempts = 1 + (before ? before->value("attempts", 0) : 0);
    try {
      run_grid_job(folder_, job, {*scorer_, sets_, session_});
      std::error_code ignored;
      fs::remove(folder_.job_folder(job) / kFailureFile, ignored);
    } catch (const core::InterruptedError&) {
      throw;
    } catch (...) {
      const auto failure = classify(std::current_exception());
      print_error(failure.message);
      write_failure(folder_, job, failure, attempts);
    }
  }

  /// What all jobs need, loaded once; what is wrong with it ends the grid and not one job.
  void prepare() {
    if (scorer_) {
      return;
    }
    scorer_ = make_cell_scorer(folder_.grid(), session_);
    if (const auto& held_out = folder_.grid().likelihood.data; !held_out.empty()) {
      const auto spec = data::parse_source(held_out);
      if (spec.kind != data::SourceKind::kPoints) {
        sets_.load({"likelihood.data"}, spec);
      }
    }
  }

  const GridFolder& folder_;
  const Session& session_;
  std::unique_ptr<CellScorer> scorer_;
  ImageSets sets_;
};

}  // namespace

void write_failure(const GridFolder& folder, const GridJob& job, const Failure& failure, int attempts) {
  auto record = core::new_record("ablation failure");
  record["code"] = static_cast<int>(failure.code);
  record["message"] = failure.message;
  record["attempts"] = attempts;
  record["outside"] = failure.code == core::ExitCode::kResources;
  core::write_record(folder.job_folder(job) / kFailureFile, record);
}

bool is_settled(const GridFolder& folder, const GridJob& job) {
  if (folder.record(job)) {
    return true;
  }
  const auto has_failed = [&](const GridJob& one) {
    const auto failure = folder.failure(one);
    return failure &&
           (!failure->value("outside", false) || failure->value("attempts", 0) >= kOutsideAttempts);
  };
  const GridJob owner{folder.grid().cells[job.cell].owner, job.seed};
  return has_failed(job) || (owner.cell != job.cell && has_failed(owner) && !folder.training(job));
}

void run_grid_worker(const fs::path& path, const Session& session) {
  try {
    const auto folder = GridFolder::open(path);
    GridWorker worker(folder, session);
    for (auto round = worker.round(); round != GridWorker::Round::kNothingLeft; round = worker.round()) {
      if (core::interrupt_requested()) {
        throw core::InterruptedError("interrupted between two jobs");
      }
      if (round == GridWorker::Round::kAllBusy) {
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
      }
    }
  } catch (...) {
    const auto failure = classify(std::current_exception());
    tell(fmt::format("error {} {}", static_cast<int>(failure.code), core::printable(failure.message)));
    throw;
  }
}

}  // namespace ddpm_eval::eval
