#pragma once

#include <functional>
#include <optional>
#include <string>

// What a launcher has told this process of the others that it has started for the same command.
namespace ddpm_eval::core {

/// One of several processes that run one command together.
struct LaunchedProcess {
  int rank = 0;                    ///< 0 to count - 1; the first one writes what comes of it
  int count = 1;                   ///< on all machines
  int local_rank = 0;              ///< among those of this machine
  int local_count = 1;             ///< of this machine
  bool shares_processors = false;  ///< the launcher binds no process to some of its machine's processors
  std::string address;             ///< where the first process listens
  int port = 0;
};

/// As environment_value(): empty where the variable is not set.
using EnvironmentLookup = std::function<std::string(const char* name)>;

/// What the environment says: RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT of
/// torchrun and of Kubernetes' training operator; else OMPI_COMM_WORLD_* of Open MPI's mpirun, PMI_* and
/// MPI_LOCAL* of MPICH's and Intel's, SLURM_* of a step that srun has started. With the last three
/// MASTER_ADDR and MASTER_PORT may say where the first process listens; else it is this machine where all
/// processes are on it, Slurm's first node, and a port that follows from the job's name. Nothing where there
/// is no launcher, or a single process. Throws UsageError naming a variable that is missing or no number in
/// its range.
std::optional<LaunchedProcess> launched_process(const EnvironmentLookup& lookup);

/// As launched_process(), of processes that need not meet: no address or port is asked for or set.
std::optional<LaunchedProcess> launched_ranks(const EnvironmentLookup& lookup);

/// The first name of a Slurm node list: "gpu[07-09,12]-ib,login" is gpu07-ib.
std::string first_of_nodes(const std::string& list);

}  // namespace ddpm_eval::core
