#include "eval/ablation/grid_worker.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/interrupt.h"
#include "base/core/record.h"
#include "base/data/source_spec.h"
#include "eval/ablation/grid_job.h"
#include "eval/console.h"

#include <chrono>
#include <cstdio>
#include <new>
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
    const auto jobs = folder_.jobs();
    for (size_t index = 0; index < jobs.size(); ++index) {
      if (is_settled(folder_, jobs[index])) {
        continue;
      }
      left = true;
      if (!is_ready(jobs[index])) {
        continue;
      }
      prepare();
      if (try_job(index, jobs[index])) {
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
  bool try_job(size_t index, const GridJob& job) {
    const auto place = folder_.job_folder(job);
    core::make_folders(place);
    std::optional<core::FolderLock> lock;
    try {
      lock.emplace(place);
    } catch (const core::ResourceError&) {
      return false;
    }
    if (!lock->is_real()) {
      throw core::ResourceError("{}: its file system has no locks on folders, by which jobs are shared out",
                                folder_.path().string());
    }
    if (is_settled(folder_, job)) {  // by another process, since it was looked at
      return true;
    }
    tell(fmt::format("job {}", index));
    const ErrorLog log(place / kJobLogFile);
    attempt(job);
    return true;
  }

  void attempt(const GridJob& job) {
    const auto before = folder_.failure(job);
    const int attempts = 1 + (before ? before->value("attempts", 0) : 0);
    const auto failed = [&](core::ExitCode code, const std::string& message, bool outside) {
      print_error(message);
      write_failure(folder_, job, static_cast<int>(code), message, attempts, outside);
    };
    try {
      run_grid_job(folder_, job, *scorer_, session_);
      std::error_code ignored;
      fs::remove(folder_.job_folder(job) / kFailureFile, ignored);
    } catch (const core::InterruptedError&) {
      throw;
    } catch (const core::Error& error) {
      failed(error.code(), error.what(), error.code() == core::ExitCode::kResources);
    } catch (const std::bad_alloc&) {
      failed(core::ExitCode::kResources, "out of memory", true);
    } catch (const std::system_error& error) {
      failed(core::ExitCode::kResources, error.what(), true);
    } catch (const std::exception& error) {
      const std::string text = error.what();
      const auto line = text.substr(0, text.find('\n'));
      if (text.find("can't allocate memory") != std::string::npos) {  // LibTorch's
        failed(core::ExitCode::kResources, "out of memory", true);
      } else {
        failed(core::ExitCode::kBug, line, false);
      }
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
        data::load_image_dataset(spec);
      }
    }
  }

  const GridFolder& folder_;
  const Session& session_;
  std::unique_ptr<CellScorer> scorer_;
};

}  // namespace

void write_failure(const GridFolder& folder, const GridJob& job, int code, const std::string& message,
                   int attempts, bool outside) {
  auto record = core::new_record("ablation failure");
  record["code"] = code;
  record["message"] = message;
  record["attempts"] = attempts;
  record["outside"] = outside;
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
  } catch (const core::Error& error) {
    tell(fmt::format("error {} {}", static_cast<int>(error.code()), error.what()));
    throw;
  }
}

}  // namespace ddpm_eval::eval
