#pragma once

#include <string>
#include <string_view>

#include <c10/core/Device.h>
#include <nlohmann/json_fwd.hpp>

// Threads, determinism and devices, set in one place for LibTorch, OpenCV, Eigen and BLAS.
namespace ddpm_eval::tensor {

/// What is in effect, read back from each library.
struct RuntimeInfo {
  int threads = 1;         ///< LibTorch's intra-op threads (OpenMP)
  int blas_threads = 0;    ///< OpenBLAS's; 0 where another BLAS is loaded
  int opencv_threads = 1;  ///< 1: files are decoded side by side, never one file by several threads
  int eigen_threads = 1;
  std::string blas;      ///< OpenBLAS's own description, "MKL, within LibTorch" or "reference BLAS (slow)"
  std::string libtorch;  ///< "1.13.1"
  std::string cpu_capability;  ///< the instruction set LibTorch's kernels were chosen for: "AVX2", "AVX512",
                               ///< "DEFAULT"
  std::string device = "cpu";  ///< "cuda:0 (NVIDIA H100 80GB HBM3)"
  bool tf32 = false;           ///< whether the GPU rounds the operands of float32 products to 10 bits
};

/// Processors this process may run on (its affinity mask and cgroup quota, not the machine's count).
int available_processors();

/// Far more than helps; OpenMP aborts where the system has no more.
inline constexpr int kMaxThreads = 1024;

/// Call once, first thing. `threads` 0 means every available processor; `device` is "cpu", "cuda" or
/// "cuda:N". Also selects deterministic algorithms. `tf32` lets a GPU multiply float32 with 10 bits of 23,
/// which is faster. Throws UsageError for a negative count or one above kMaxThreads, for another word, for a
/// GPU that this build or this machine does not have, and for `tf32` without one.
void configure_runtime(int threads, const std::string& device = "cpu", bool tf32 = false);

/// Of "cpu", "cuda", which is the first one, or "cuda:N", whether it is there or not. Throws UsageError.
c10::Device device_named(std::string_view word);

/// Where networks compute: what configure_runtime() was told, or the CPU. Tables and what comes back as a
/// result are on the CPU unless a function says otherwise.
c10::Device compute_device();

/// Waits until the GPU has done all that it was given, for clocks. Nothing on the CPU.
void synchronize();

RuntimeInfo runtime_info();

/// runtime_info() as the part of a record's context, with "processes" if several share the work
/// (process_group.h; the threads are those of each) and "halved_batches" if batches_were_halved()
/// (gpu_memory.h).
nlohmann::ordered_json runtime_context();

/// What the last bits of a result depend on beside the program: "threads", on a GPU "device" and "tf32", and
/// "halved_batches" once batches_were_halved().
nlohmann::ordered_json arithmetic_context();

}  // namespace ddpm_eval::tensor
