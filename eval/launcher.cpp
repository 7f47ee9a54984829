// The program's front door. The OpenMP runtime reads its settings while it is loaded, before main, so they
// are chosen here and the program itself, which links LibTorch and some 290 libraries more, is started
// afterwards in the same process. Measured cost: about a millisecond.

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>

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

int fail(const std::string& program, int error) {
  std::fprintf(stderr, "ddpm-eval: %s cannot be started: %s\n", program.c_str(), std::strerror(error));
  return kResources;
}

}  // namespace

int main(int, char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") == nullptr) {
    ::setenv("GOMP_SPINCOUNT", kSpins, 0);
  }
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) {
    return fail("the program behind /proc/self/exe", error.value());
  }
  const std::string program = self.parent_path().parent_path() / "libexec" / "ddpm-eval-program";
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
  ::execv(program.c_str(), argv);
  return fail(program, errno);
}
