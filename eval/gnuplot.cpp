#include "eval/gnuplot.h"

#include "base/core/error.h"
#include "base/core/interrupt.h"
#include "base/core/text.h"

#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ddpm_eval::eval {
namespace {

/// A file without a name, in memory: no pipe that both ends could wait at.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(::memfd_create("gnuplot", MFD_CLOEXEC)) {
    if (descriptor_ < 0) {
      throw core::ResourceError("no memory for a plot: {}", std::strerror(errno));
    }
  }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  int descriptor() const { return descriptor_; }

  void write(std::string_view text) const {
    while (!text.empty()) {
      const auto count = ::write(descriptor_, text.data(), text.size());
      if (count < 0 && errno != EINTR) {
        throw core::ResourceError("no memory for a plot: {}", std::strerror(errno));
      }
      text.remove_prefix(count < 0 ? 0 : static_cast<size_t>(count));
    }
    ::lseek(descriptor_, 0, SEEK_SET);
  }

  std::string read() const {
    std::string text;
    std::array<char, 1 << 16> part;
    ::lseek(descriptor_, 0, SEEK_SET);
    for (;;) {
      const auto count = ::read(descriptor_, part.data(), part.size());
      if (count > 0) {
        text.append(part.data(), static_cast<size_t>(count));
      } else if (count == 0 || errno != EINTR) {
        return text;
      }
    }
  }

 private:
  int descriptor_;
};

/// Frees what posix_spawn is told.
struct SpawnSettings {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;

  SpawnSettings(int in, int out, int err) {
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&files, err, STDERR_FILENO);
    ::posix_spawnattr_init(&attributes);
    sigset_t none, ours;
    ::sigemptyset(&none);
    ::sigemptyset(&ours);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) {
      ::sigaddset(&ours, number);
    }
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &ours);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnSettings() {
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&files);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
};

/// Nothing but what is needed: GNUTERM, GNUPLOT_LIB and a locale's decimal comma stay outside.
std::vector<std::string> environment() {
  const char* path = std::getenv("PATH");
  return {std::string("PATH=") + (path == nullptr ? "/usr/bin:/bin" : path), "LC_ALL=C"};
}

/// The last line with something in it.
std::string last_words(const std::string& errors) {
  size_t end = errors.find_last_not_of(" \n");
  if (end == std::string::npos) {
    return "it says nothing";
  }
  const size_t before = errors.rfind('\n', end);
  const size_t begin = before == std::string::npos ? 0 : before + 1;
  return core::excerpt(std::string_view(errors).substr(begin, end + 1 - begin), 200);
}

}  // namespace

std::optional<std::string> run_gnuplot(const std::string& script) {
  const MemoryFile in, out, err;
  in.write(script);
  const SpawnSettings settings(in.descriptor(), out.descriptor(), err.descriptor());
  auto variables = environment();
  std::vector<char*> pointers;
  for (auto& variable : variables) {
    pointers.push_back(variable.data());
  }
  pointers.push_back(nullptr);
  std::string name = "gnuplot", defaults = "-d";
  const std::array<char*, 3> arguments = {name.data(), defaults.data(), nullptr};
  pid_t process = 0;
  const int problem = ::posix_spawnp(&process, name.c_str(), &settings.files, &settings.attributes,
                                     arguments.data(), pointers.data());
  if (problem == ENOENT || problem == EACCES || problem == ENOTDIR) {
    return std::nullopt;
  }
  if (problem != 0) {
    throw core::ResourceError("gnuplot cannot be started: {}", std::strerror(problem));
  }
  int status = 0;
  while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    const int by = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    // A terminal's signal goes to both, and ours may not have been taken yet.
    if (core::interrupt_requested() || by == SIGINT || by == SIGTERM || by == SIGHUP) {
      throw core::InterruptedError("interrupted while plots were drawn; the same command draws them anew");
    }
    throw core::ResourceError("gnuplot does not draw a plot: {}", last_words(err.read()));
  }
  return out.read();
}

std::string gnuplot_text(const std::string& text, size_t most) {
  std::string constant = "\"";
  bool after_escape = false;  // where gnuplot would take a digit as one more of the escape
  for (const char c : core::excerpt(text, most)) {
    const auto byte = static_cast<unsigned char>(c);
    const bool digit = std::isdigit(byte) != 0;
    const bool plain = byte >= 0x80 || std::isalpha(byte) != 0 || c == ' ' || (digit && !after_escape);
    constant += plain ? std::string(1, c) : fmt::format("\\{:03o}", byte);
    after_escape = !plain;
  }
  return constant + "\"";
}

}  // namespace ddpm_eval::eval
