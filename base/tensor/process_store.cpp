#include "base/tensor/process_store.h"

#include "base/core/environment.h"
#include "base/core/error.h"
#include "base/core/host_address.h"
#include "base/core/interrupt.h"

#include <chrono>
#include <thread>

#include <c10/util/Exception.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

namespace ddpm_eval::tensor {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kTurn{20};  // between two looks whether the others have come

// Of each rank:
constexpr const char* kCame = "came";    // how many have come as it
constexpr const char* kHost = "host";    // where it runs
constexpr const char* kBuild = "build";  // which program it is

std::string address_for(const core::LaunchedProcess& process) {
  auto given = core::environment_value("DDPM_EVAL_ADDRESS");
  return given.empty()
             ? core::own_address_towards(process.address, process.port, process.local_count != process.count)
             : given;
}

ProcessStore connect(const core::LaunchedProcess& process, std::chrono::seconds patience, bool serves) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(process.port);
  options.isServer = serves;
  options.waitWorkers = false;
  options.timeout = patience;
  return ProcessStore(c10::make_intrusive<c10d::TCPStore>(process.address, options));
}

void throw_if_interrupted() {
  if (core::interrupt_requested()) {
    throw core::InterruptedError("interrupted before anything was done");
  }
}

void turn() {
  throw_if_interrupted();
  std::this_thread::sleep_for(kTurn);
}

/// By looks of our own: TCPStore's are a second apart, and hear of no interrupt.
void await_store(const core::LaunchedProcess& process, std::chrono::seconds patience) {
  for (const auto end = Clock::now() + patience; !core::is_served(process.address, process.port); turn()) {
    if (Clock::now() > end) {
      throw core::ResourceError("rank {}: nobody came to {} port {} within {} s, where rank 0 should be",
                                process.rank, process.address, process.port, patience.count());
    }
  }
}

void come(const ProcessStore& store, const core::LaunchedProcess& process, const GroupOptions& options,
          const std::string& own_address) {
  if (store.count(kCame, process.rank) != 1) {
    throw core::ResourceError(
        "another rank {} has come to {} port {} already: two commands at once need different ports "
        "(MASTER_PORT)",
        process.rank, process.address, process.port);
  }
  store.set(kBuild, process.rank, options.build);
  store.set(kSign, process.rank, "");
  store.set(kHost, process.rank, core::host_name() + " (" + own_address + ")");
}

void await_others(const ProcessStore& store, const core::LaunchedProcess& process,
                  std::chrono::seconds patience) {
  for (const auto end = Clock::now() + patience;; turn()) {
    const auto missing = other_ranks(process, [&](int rank) { return !store.has(kHost, rank); });
    if (missing.empty()) {
      return;
    }
    if (Clock::now() > end) {
      throw core::ResourceError(
          "{} of {} processes of this command came to {} port {} within {} s; rank {} did not",
          process.count - static_cast<int>(missing.size()), process.count, process.address, process.port,
          patience.count(), missing.front());
    }
  }
}

void require_same_build(const ProcessStore& store, const core::LaunchedProcess& process,
                        const std::string& build) {
  const auto strangers = other_ranks(process, [&](int rank) { return store.get(kBuild, rank) != build; });
  if (!strangers.empty()) {
    throw core::UsageError("{} runs another version of the program, {}, than rank {}, {}",
                           store.name_of(strangers.front()), store.get(kBuild, strangers.front()),
                           process.rank, build);
  }
}

}  // namespace

std::string reason_of(const std::exception& error) {
  const auto* of_torch = dynamic_cast<const c10::Error*>(&error);
  const std::string text = of_torch != nullptr ? of_torch->what_without_backtrace() : error.what();
  return text.substr(0, text.find('\n'));
}

std::string ProcessStore::get(const std::string& key) const {
  const auto bytes = store_->get(key);
  return {bytes.begin(), bytes.end()};
}

void ProcessStore::set(const std::string& key, const std::string& text) const {
  store_->set(key, std::vector<uint8_t>(text.begin(), text.end()));
}

std::string ProcessStore::name_of(int rank) const {
  try {
    return fmt::format("rank {} on {}", rank, get(kHost, rank));
  } catch (const std::exception&) {
    return fmt::format("rank {}", rank);
  }
}

std::vector<int> other_ranks(const core::LaunchedProcess& process, const std::function<bool(int)>& which) {
  std::vector<int> ranks;
  for (int rank = 0; rank < process.count; ++rank) {
    if (rank != process.rank && which(rank)) {
      ranks.push_back(rank);
    }
  }
  return ranks;
}

Meeting meet_at_store(const core::LaunchedProcess& process, const GroupOptions& options) {
  throw_if_interrupted();  // before others find a store that goes at once
  auto own_address = address_for(process);
  try {
    if (process.rank != 0) {
      await_store(process, options.patience);
    } else if (core::is_served(process.address, process.port)) {
      throw core::ResourceError(
          "{} port {}, where the processes of this command are to meet, is taken by another program or "
          "command; launchers choose it by MASTER_PORT",
          process.address, process.port);
    }
    auto store = connect(process, options.patience, process.rank == 0);
    auto another = connect(process, options.patience, false);
    auto third = connect(process, options.patience, false);
    come(store, process, options, own_address);
    await_others(store, process, options.patience);
    require_same_build(store, process, options.build);
    return {std::move(own_address), std::move(store), std::move(another),
            c10::make_intrusive<c10d::PrefixStore>("backend", third.store())};
  } catch (const core::Error&) {
    throw;
  } catch (const std::exception& error) {
    throw core::ResourceError("rank {} did not reach the other processes at {} port {}: {}", process.rank,
                              process.address, process.port, reason_of(error));
  }
}

}  // namespace ddpm_eval::tensor
