#include "base/core/launch.h"

#include "base/core/error.h"
#include "base/core/text.h"

#include <cstdint>

namespace ddpm_eval::core {
namespace {

constexpr int kMostProcesses = 1 << 20;
constexpr int kLastPort = 65535;
constexpr int kDefaultPort = 29500;  // torchrun's
constexpr const char* kLoopback = "127.0.0.1";

class Environment {
 public:
  explicit Environment(const EnvironmentLookup& lookup) : lookup_(lookup) {}

  std::string text(const char* name) const { return lookup_(name); }

  bool has(const char* name) const { return !text(name).empty(); }

  std::string required(const char* name, const char* because) const {
    auto value = text(name);
    if (value.empty()) {
      throw UsageError("{}: is not set, but {} is; a launcher sets both, and --procs 1 takes no heed of them",
                       name, because);
    }
    return value;
  }

  int number(const char* name, const std::string& text, int least, int most) const {
    const auto value = whole_number(text);
    if (!value || *value < least || *value > most) {
      throw UsageError("{}={}: expected a number from {} to {}; --procs 1 takes no heed of it", name, text,
                       least, most);
    }
    return static_cast<int>(*value);
  }

  int number(const char* name, int least, int most, const char* because) const {
    return number(name, required(name, because), least, most);
  }

  int number_or(const char* name, int least, int most, int otherwise) const {
    const auto value = text(name);
    return value.empty() ? otherwise : number(name, value, least, most);
  }

 private:
  const EnvironmentLookup& lookup_;
};

/// The variables of one launcher.
struct Names {
  const char* rank;
  const char* count;
  const char* local_rank;
  const char* local_count;
  bool shares_processors;
};

// mpirun and srun bind each process to its processors, or are told to.
constexpr Names kTorchrun = {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", true};
constexpr Names kOpenMpi = {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
                            "OMPI_COMM_WORLD_LOCAL_SIZE", false};
constexpr Names kMpich = {"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS", false};
// Of a step alone: the script of a batch job has SLURM_PROCID and SLURM_NTASKS too, and is one process.
constexpr Names kSlurm = {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", nullptr, false};

LaunchedProcess ranks_of(const Environment& environment, const Names& names) {
  LaunchedProcess process;
  process.count = environment.number(names.count, 1, kMostProcesses, names.rank);
  process.rank = environment.number(names.rank, 0, process.count - 1, names.count);
  process.local_rank = environment.number_or(names.local_rank, 0, process.count - 1, 0);
  process.local_count =
      names.local_count != nullptr ? environment.number_or(names.local_count, 1, process.count, 1) : 1;
  process.shares_processors = names.shares_processors;
  return process;
}

bool is_of_torchrun(const Environment& environment) {
  return environment.has(kTorchrun.rank) || environment.has(kTorchrun.count);
}

/// Processes of another launcher than torchrun, which says itself where the first one listens.
std::string address_of(const Environment& environment, const LaunchedProcess& process) {
  if (environment.has("MASTER_ADDR")) {
    return environment.text("MASTER_ADDR");
  }
  if (process.local_count == process.count) {
    return kLoopback;
  }
  for (const char* name : {"SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST"}) {
    if (environment.has(name)) {
      return first_of_nodes(environment.text(name));
    }
  }
  return environment.required("MASTER_ADDR", "the number of processes");
}

/// What is started at the same time has ports of its own where the launcher names it.
int port_of(const Environment& environment) {
  uint32_t hash = 0;
  for (const char* name : {"SLURM_JOB_ID", "SLURM_STEP_ID", "PMIX_NAMESPACE"}) {
    for (const char c : environment.text(name)) {
      hash = hash * 31 + static_cast<unsigned char>(c);
    }
  }
  return environment.number_or("MASTER_PORT", 1, kLastPort, kDefaultPort + static_cast<int>(hash % 10'000));
}

}  // namespace

std::string first_of_nodes(const std::string& list) {
  const auto open = list.find_first_of("[,");
  if (open == std::string::npos || list[open] == ',') {
    return list.substr(0, open);
  }
  const auto end = list.find_first_of("-,]", open + 1);
  const auto first = list.substr(open + 1, end == std::string::npos ? end : end - open - 1);
  const auto close = list.find(']', open);
  const auto rest = close == std::string::npos ? std::string() : list.substr(close + 1);
  return list.substr(0, open) + first + first_of_nodes(rest);
}

std::optional<LaunchedProcess> launched_ranks(const EnvironmentLookup& lookup) {
  const Environment environment(lookup);
  std::optional<LaunchedProcess> found;
  if (is_of_torchrun(environment)) {
    found = ranks_of(environment, kTorchrun);
  } else {
    // Slurm sets PMI_* for its own, without MPICH's local ranks.
    const bool of_slurm = environment.has(kSlurm.count) && !environment.has(kMpich.local_rank);
    for (const auto& names : {kOpenMpi, of_slurm ? kSlurm : kMpich, kSlurm}) {
      if (!found && environment.has(names.count)) {
        found = ranks_of(environment, names);
      }
    }
  }
  return found && found->count > 1 ? found : std::nullopt;
}

std::optional<LaunchedProcess> launched_process(const EnvironmentLookup& lookup) {
  const Environment environment(lookup);
  auto found = launched_ranks(lookup);
  if (found && is_of_torchrun(environment)) {
    found->address = environment.required("MASTER_ADDR", kTorchrun.count);
    // Where torchrun's agent serves a store at its port, the next one is ours.
    const int own = environment.text("TORCHELASTIC_USE_AGENT_STORE") == "True" ? 1 : 0;
    found->port = environment.number("MASTER_PORT", 1, kLastPort - own, kTorchrun.count) + own;
  } else if (found) {
    found->address = address_of(environment, *found);
    found->port = port_of(environment);
  }
  return found;
}

}  // namespace ddpm_eval::core
