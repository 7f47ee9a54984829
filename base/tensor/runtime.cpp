#include "base/tensor/runtime.h"

#include "base/core/error.h"
#include "base/core/processor_quota.h"
#include "base/tensor/gpu_memory.h"
#include "base/tensor/process_group.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

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
#ifdef DDPM_EVAL_WITH_CUDA
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAFunctions.h>
#endif

namespace ddpm_eval::tensor {
namespace {

c10::Device chosen_device(c10::DeviceType::CPU);

#ifdef DDPM_EVAL_WITH_CUDA
void configure_cuda(c10::Device device, bool tf32) {
  // Read by cuBLAS when it is first used: without it products of one run may differ from those of the next.
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);
  const int count = static_cast<int>(c10::cuda::device_count());
  if (device.index() >= count) {
    throw core::UsageError(
        "--device {}: this machine has {}; choose cpu{}", device.str(),
        count == 0 ? "no CUDA device that LibTorch can use" : fmt::format("{} CUDA device(s)", count),
        count == 0 ? "" : fmt::format(" or cuda:0 to cuda:{}", count - 1));
  }
  c10::cuda::set_device(device.index());
  at::globalContext().setAllowTF32CuDNN(tf32);
  at::globalContext().setAllowTF32CuBLAS(tf32);
  at::globalContext().setAllowBF16ReductionCuBLAS(false);
}
#else
void configure_cuda(c10::Device device, bool /*tf32*/) {
  throw core::UsageError("--device {}: this program was built with a LibTorch without CUDA; choose cpu",
                         device.str());
}
#endif

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

c10::Device device_named(std::string_view word) {
  if (word == "cpu") {
    return c10::Device(c10::DeviceType::CPU);
  }
  int index = 0;
  const std::string_view number = word.substr(std::min<size_t>(word.size(), 5));
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), index);
  const bool numbered = word.starts_with("cuda:") && error == std::errc() &&
                        end == number.data() + number.size() && index >= 0 && index < 64;
  if (word != "cuda" && !numbered) {
    throw core::UsageError("--device {}: expected cpu, cuda or cuda:N", word);
  }
  return {c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(index)};
}

void configure_runtime(int threads, const std::string& device, bool tf32) {
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
#if TORCH_VERSION_MAJOR >= 2
  // Every element of a fresh tensor is written here; filling it beforehand costs a pass over memory.
  at::globalContext().setDeterministicFillUninitializedMemory(false);
#endif
  keep_freed_memory();
  const auto wanted = device_named(device);
  if (wanted.is_cuda()) {
    configure_cuda(wanted, tf32);
  } else if (tf32) {
    throw core::UsageError("--tf32: is for CUDA devices; leave it out or add --device cuda");
  }
  chosen_device = wanted;
}

c10::Device compute_device() { return chosen_device; }

void synchronize() {
#ifdef DDPM_EVAL_WITH_CUDA
  if (chosen_device.is_cuda()) {
    c10::cuda::device_synchronize();
  }
#endif
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
    info.blas =
        at::hasMKL() ? "MKL, within LibTorch" : "reference BLAS (slow): install libopenblas-openmp-dev";
  }
  info.libtorch = TORCH_VERSION;
  info.cpu_capability = cpu_capability();
#ifdef DDPM_EVAL_WITH_CUDA
  if (chosen_device.is_cuda()) {
    info.device = fmt::format("{} ({})", chosen_device.str(),
                              at::cuda::getDeviceProperties(chosen_device.index())->name);
    info.tf32 = at::globalContext().allowTF32CuDNN();
  }
#endif
  return info;
}

namespace {

/// What a GPU adds to either context.
void add_gpu_arithmetic(nlohmann::ordered_json& context, const RuntimeInfo& info) {
  if (chosen_device.is_cuda()) {
    context["tf32"] = info.tf32;
  }
  if (batches_were_halved()) {
    context["halved_batches"] = true;
  }
}

}  // namespace

nlohmann::ordered_json runtime_context() {
  const auto info = runtime_info();
  nlohmann::ordered_json context{{"device", info.device},     {"threads", info.threads},
                                 {"blas", info.blas},         {"blas_threads", info.blas_threads},
                                 {"libtorch", info.libtorch}, {"cpu_capability", info.cpu_capability}};
  if (const int processes = process_group().size(); processes > 1) {
    context["processes"] = processes;
  }
  add_gpu_arithmetic(context, info);
  return context;
}

nlohmann::ordered_json arithmetic_context() {
  const auto info = runtime_info();
  nlohmann::ordered_json context{{"threads", info.threads}};
  if (chosen_device.is_cuda()) {
    context["device"] = info.device;
  }
  add_gpu_arithmetic(context, info);
  return context;
}

}  // namespace ddpm_eval::tensor
