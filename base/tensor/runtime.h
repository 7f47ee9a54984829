#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

// Threads, determinism and devices, set in one place for LibTorch, OpenCV, Eigen and BLAS.
namespace ddpm_eval::tensor {

/// What is in effect, read back from each library.
struct RuntimeInfo {
  int threads = 1;         ///< LibTorch's intra-op threads (OpenMP)
  int blas_threads = 0;    ///< OpenBLAS's; 0 where another BLAS is loaded
  int opencv_threads = 1;  ///< 1: files are decoded side by side, never one file by several threads
  int eigen_threads = 1;
  std::string blas;            ///< OpenBLAS's own description, or "reference BLAS (slow)"
  std::string libtorch;        ///< "1.13.1"
  std::string cpu_capability;  ///< the instruction set LibTorch's kernels were chosen for: "AVX2", "AVX512",
                               ///< "DEFAULT"
  std::string device = "cpu";
};

/// Processors this process may run on (its affinity mask and cgroup quota, not the machine's count).
int available_processors();

/// Far more than helps; OpenMP aborts where the system has no more.
inline constexpr int kMaxThreads = 1024;

/// Call once, first thing. `threads` 0 means every available processor. Also selects deterministic
/// algorithms. Throws UsageError for a negative count or one above kMaxThreads.
void configure_runtime(int threads);

RuntimeInfo runtime_info();

/// runtime_info() as the part of a record's context.
nlohmann::ordered_json runtime_context();

}  // namespace ddpm_eval::tensor
