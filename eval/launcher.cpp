// The program's front door. The OpenMP runtime and OpenBLAS read their settings while they are loaded, before
// main, so they are chosen here and the program itself, which links LibTorch and some 290 libraries more, is
// started afterwards in the same process. Measured cost: about four milliseconds, three of which are
// OpenBLAS. Calls for help and for the version are answered here, from texts that the build has had the
// program write: those libraries take half a second.

#include "eval/blas_kernels.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

namespace {

// Turns that a thread waits at a barrier before it sleeps. libgomp's default of 300,000 lets a thread burn
// the time slice that the one it waits for needs: beside two busy processes on two processors the swiss roll
// trained 8 times slower than with this value. On an idle machine it costs up to 5 %, and no waiting at all
// up to 45 %.
constexpr const char* kSpins = "10000";

constexpr rlim_t kLeastAddressSpace = rlim_t{1} << 30;  // RLIM_INFINITY is the largest number

constexpr int kResources = 7;  // base/core/error.h's, which this file does without to load nothing

constexpr auto kKernels = "OPENBLAS_CORETYPE";

/// OpenBLAS takes kernels by the model of the processor. It is asked which, and told better ones where it
/// does not know the model.
void choose_blas_kernels() {
#ifdef __x86_64__
  using ddpm_eval::eval::VectorUnits;
  const VectorUnits units{__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"),
                          __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                              __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")};
  if (std::getenv(kKernels) != nullptr || !units.avx2_and_fma) {
    return;
  }
  void* library = ::dlopen("libopenblas.so.0", RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr) {
    return;
  }
  const auto name = reinterpret_cast<const char* (*)()>(::dlsym(library, "openblas_get_corename"));
  if (name == nullptr) {
    return;
  }
  if (const char* better = ddpm_eval::eval::better_blas_kernels(name(), units)) {
    ::setenv(kKernels, better, 1);
  }
#endif
}

int fail(const std::string& program, const std::string& reason) {
  std::fprintf(stderr, "ddpm-eval: error: %s cannot be started: %s\n", program.c_str(), reason.c_str());
  return kResources;
}

/// The file with what this call is to print: "version" of --version, "ddpm-eval data list" of `data list
/// --help`; empty where the call is not as plain as that.
std::string help_name(int argc, char** argv) {
  if (argc == 2 && argv[1] == std::string_view("--version")) {
    return "version";
  }
  const std::string_view last = argc > 1 ? argv[argc - 1] : "";
  if (last != "--help" && last != "-h") {
    return "";
  }
  std::string name = "ddpm-eval";
  for (int i = 1; i + 1 < argc; ++i) {
    const std::string_view word = argv[i];
    const bool is_name =
        !word.empty() && word.front() != '-' &&
        std::all_of(word.begin(), word.end(), [](char c) { return c == '-' || (c >= 'a' && c <= 'z'); });
    if (!is_name) {
      return "";
    }
    name.append(" ").append(word);
  }
  return name;
}

/// Nothing where the file is not there, no plain file, empty or not to be read: the program then answers.
std::optional<std::string> text_of(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return std::nullopt;
  }
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return file && text ? std::optional(text.str()) : std::nullopt;
}

int print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    std::fprintf(stderr, "ddpm-eval: error: standard output could not be written\n");
    return kResources;
  }
  return 0;
}

/// A standard stream that is closed stays one that cannot be used, but its number goes to no file or socket
/// of the program, which what is printed would end up in.
void occupy_closed_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) < 0) {
      ::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);  // takes the lowest free number
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  occupy_closed_streams();
  if (std::getenv("OMP_WAIT_POLICY") == nullptr) {
    ::setenv("GOMP_SPINCOUNT", kSpins, 0);
  }
  ::setenv("GLOG_minloglevel", "3", 0);  // what LibTorch logs is told as an error of ours
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) {
    return fail("the program behind /proc/self/exe", error.message());
  }
  const auto folder = self.parent_path().parent_path() / "libexec";
  if (const auto name = help_name(argc, argv); !name.empty()) {
    if (const auto text = text_of(folder / "help" / name)) {
      return print(*text);
    }
  }
  const std::string program = folder / "ddpm-eval-program";
  // Below it libraries fail while they are loaded, and OpenBLAS asks for memory again and again, for ever.
  rlimit space{};
  if (::getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur < kLeastAddressSpace) {
    std::fprintf(stderr, "ddpm-eval: out of memory: the limit on address space (ulimit -v) is below 1 GiB\n");
    return kResources;
  }
  // A signal while the libraries are loaded would end the process without a word. Held back, it is taken by
  // what the program installs first (base/core/interrupt.h).
  sigset_t held;
  ::sigemptyset(&held);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    ::sigaddset(&held, number);
  }
  ::sigprocmask(SIG_BLOCK, &held, nullptr);
  choose_blas_kernels();
  ::execv(program.c_str(), argv);
  const int reason = errno;
  const char* hint = reason == ENOENT ? "; the folder libexec belongs beside bin" : "";
  return fail(program, std::strerror(reason) + std::string(hint));
}
