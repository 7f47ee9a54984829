#include "base/tensor/runtime.h"

#include "base/core/error.h"
#include "base/core/processor_quota.h"

#include <algorithm>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <Eigen/Core>
#include <dlfcn.h>
#include <malloc.h>
#include <nlohmann/json.hpp>
#include <opencv2/core/utility.hpp>
#include <sched.h>
#include <torch/version.h>

namespace ddpm_eval::tensor {
namespace {

/// A function of the BLAS that was loaded, or null if it has none of that name.
template <class Function>
Function* blas_symbol(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_DEFAULT, name));
}

/// The instruction set that LibTorch dispatches to. 1.13 tells it only in the text of its configuration.
std::string cpu_capability() {
  const std::string text = at::show_config();
  const std::string label = "CPU capability usage: ";
  const size_t begin = text.find(label);
  return begin == std::string::npos
             ? "unknown"
             : text.substr(begin + label.size(), text.find('\n', begin) - begin - label.size());
}

/// Training frees and takes the same large blocks at every step. Handing them to the kernel in between costs
/// a small network a tenth of its time in page faults.
void keep_freed_memory() {
#ifdef __GLIBC__
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);  // glibc's largest
  ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
}

}  // namespace

int available_processors() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  int count = ::sched_getaffinity(0, sizeof(allowed), &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
  if (const int quota = core::processor_quota(); quota > 0) {
    count = std::min(count, quota);
  }
  return std::max(1, count);
}

void configure_runtime(int threads) {
  if (threads < 0 || threads > kMaxThreads) {
    throw core::UsageError("--threads {}: expected 0 (every processor) or a number up to {}", threads,
                           kMaxThreads);
  }
  const int count = threads == 0 ? available_processors() : threads;
  at::set_num_threads(count);
  if (auto* set_blas = blas_symbol<void(int)>("openblas_set_num_threads")) {
    set_blas(count);
  }
  Eigen::setNbThreads(count);
  cv::setNumThreads(1);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
  at::globalContext().setBenchmarkCuDNN(false);
  keep_freed_memory();
}

RuntimeInfo runtime_info() {
  RuntimeInfo info;
  info.threads = at::get_num_threads();
  info.opencv_threads = cv::getNumThreads();
  info.eigen_threads = Eigen::nbThreads();
  if (auto* describe_blas = blas_symbol<char*()>("openblas_get_config")) {
    info.blas = describe_blas();
    if (auto* count = blas_symbol<int()>("openblas_get_num_threads")) {
      info.blas_threads = count();
    }
  } else {
    info.blas = "reference BLAS (slow): install libopenblas-openmp-dev";
  }
  info.libtorch = TORCH_VERSION;
  info.cpu_capability = cpu_capability();
  return info;
}

nlohmann::ordered_json runtime_context() {
  const auto info = runtime_info();
  return {{"device", info.device},     {"threads", info.threads},
          {"blas", info.blas},         {"blas_threads", info.blas_threads},
          {"libtorch", info.libtorch}, {"cpu_capability", info.cpu_capability}};
}

}  // namespace ddpm_eval::tensor
