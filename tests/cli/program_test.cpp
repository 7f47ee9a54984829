#include "tests/support/program.h"

#include "tests/support/environment.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

#include <cstdlib>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ddpm_eval {
namespace {

using ::testing::AllOf;
using testing::error_line;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::run_program;
using ::testing::StartsWith;

constexpr const char* kCommands[] = {"ablate", "compare", "data", "explain", "export", "features", "fid",
                                     "import", "info",    "is",   "kid",     "nll",    "prdc",     "report",
                                     "sample", "score",   "show", "stats",   "train",  "weights",  "cache"};

TEST(Program, HelpListsEveryCommandAndEachHasItsOwn) {
  const auto help = run_program({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const char* command : kCommands) {
    EXPECT_THAT(help.out, HasSubstr(std::string("\n  ") + command + " "));
  }
}

TEST(Program, EachCommandHasHelp) {
  for (const char* command : kCommands) {
    const auto help = run_program({command, "--help"});
    EXPECT_EQ(help.exit_code, 0) << command;
    EXPECT_THAT(help.out, HasSubstr("--help")) << command;
    EXPECT_THAT(help.out, HasSubstr("\n\nOptions of every command:\n  --threads INT=0 ")) << command;
    EXPECT_THAT(help.out, HasSubstr("\n  -q,--quiet ")) << command;
    EXPECT_EQ(help.err, "") << command;
  }
  const auto help = run_program({"data", "fetch", "--help"});
  EXPECT_THAT(help.out, AllOf(HasSubstr("--mirror TEXT"), HasSubstr("\n  -q,--quiet ")));
  EXPECT_THAT(run_program({"--help"}).out, Not(HasSubstr("Options of every command")));
}

TEST(Program, HelpWithoutTheLibrariesIsThatOfTheProgram) {
  const auto expect_same = [](const std::vector<std::string>& plain, const std::vector<std::string>& other) {
    const auto quick = run_program(plain);
    EXPECT_EQ(quick.exit_code, 0) << quick.err;
    EXPECT_NE(quick.out, "");
    EXPECT_EQ(quick.out, run_program(other).out);
  };
  expect_same({"--help"}, {"-q", "--help"});
  expect_same({"fid", "-h"}, {"-q", "fid", "-h"});
  expect_same({"data", "list", "--help"}, {"-q", "data", "list", "--help"});
  expect_same({"--version"}, {"-q", "--version"});
}

TEST(Program, HelpNeedsNoLibraries) {
  // Without room for them: the program itself refuses this.
  const auto limited = [](const std::string& words) {
    return std::system(("ulimit -v 100000; \"$DDPM_EVAL_BINARY\" " + words + " > /dev/null 2>&1").c_str());
  };
  EXPECT_EQ(limited("fid --help"), 0);
  EXPECT_EQ(limited("--version"), 0);
  EXPECT_NE(limited("info"), 0);
  EXPECT_NE(limited("../help/version --help"), 0);
}

TEST(Program, HelpTextsThatCannotBeReadLeaveTheAnswerToTheProgram) {
  namespace fs = std::filesystem;
  const testing::TempDir dir;
  fs::create_directories(dir / "bin");
  fs::copy_file(std::getenv("DDPM_EVAL_BINARY"), dir / "bin/ddpm-eval");
  const testing::Environment other("DDPM_EVAL_BINARY", (dir / "bin/ddpm-eval").string());
  const auto nowhere = run_program({"--version"});
  EXPECT_EQ(nowhere.exit_code, 7);
  EXPECT_THAT(error_line(nowhere),
              AllOf(HasSubstr("libexec/ddpm-eval-program cannot be started: No such file"),
                    HasSubstr("the folder libexec belongs beside bin")));
  const auto program = dir / "libexec/ddpm-eval-program";
  fs::create_directories(dir / "libexec/help/ddpm-eval");
  testing::put_file(program, "#!/bin/sh\necho \"the program: $*\"\n");
  fs::permissions(program, fs::perms::owner_all);
  ASSERT_EQ(::mkfifo((dir / "libexec/help/version").c_str(), 0600), 0);
  testing::put_file(dir / "libexec/help/ddpm-eval fid", "");
  testing::put_file(dir / "libexec/help/ddpm-eval is", std::string_view("a\0b\n", 4));
  EXPECT_EQ(run_program({"--help"}).out, "the program: --help\n");
  EXPECT_EQ(run_program({"--version"}).out, "the program: --version\n");
  EXPECT_EQ(run_program({"fid", "--help"}).out, "the program: fid --help\n");
  EXPECT_EQ(run_program({"is", "--help"}).out, std::string("a\0b\n", 4));
}

TEST(Program, HelpOfAnUnknownCommandIsAUsageError) {
  const auto expect_error = [](const std::vector<std::string>& arguments, const std::string& message) {
    const auto result = run_program(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.out;
    EXPECT_EQ(error_line(result), message + " (see ddpm-eval --help)");
    EXPECT_EQ(result.out, "");
  };
  expect_error({"fidd", "--help"}, "unknown command 'fidd'; did you mean 'fid'?");
  expect_error({"--help", "scor"}, "unknown command 'scor'; did you mean 'score'?");
  expect_error({"benchmark", "--help"},
               "unknown command 'benchmark'; choose train, sample, show, fid, is, kid, prdc, score, explain, "
               "stats, nll, ablate, report, compare, features, data, weights, import, export, cache or info");
  expect_error({"data", "lst", "--help"}, "unknown command 'data lst'; did you mean 'data list'?");
  EXPECT_EQ(run_program({"data-list", "--help"}).exit_code, 2) << "a text of help has a name of two words";
  expect_error({"features", "trian", "--out", "x"},
               "unknown command 'features trian'; did you mean 'features train'?");
  expect_error({"weights"}, "a command is needed: weights list, weights fetch or weights verify");
  expect_error({"--nosuch", "3"}, "unknown option '--nosuch'");
}

TEST(Program, HelpSaysWhereStatisticsServe) {
  const std::string statistics = "What is scored: a source, a statistics .npz or a file of features";
  EXPECT_THAT(run_program({"fid", "--help"}).out, HasSubstr(statistics));
  for (const char* command : {"is", "kid", "prdc"}) {
    EXPECT_THAT(run_program({command, "--help"}).out, Not(HasSubstr("statistics"))) << command;
  }
}

TEST(Program, UsageErrorsAreOneLineAndExitCode2) {
  auto result = run_program({"fidd"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(error_line(result), StartsWith("unknown command 'fidd'; did you mean 'fid'?"));
  result = run_program({});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(error_line(result), StartsWith("a command is needed"));
  result = run_program({"info", "--nosuch"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(error_line(result), HasSubstr("--nosuch"));
  result = run_program({"info", "--threads", "-1"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(error_line(result), HasSubstr("--threads -1"));
  result = run_program({"info", "--threads", "99999999999"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(error_line(result),
            "--threads: 99999999999 are too many; 0 means every processor (see ddpm-eval --help)");
  result = run_program({"fid", "--real", "cifar"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(error_line(result), HasSubstr("--fake is required"));
}

void expect_usage_error(const std::vector<std::string>& arguments, const std::string& message) {
  const auto result = run_program(arguments);
  EXPECT_EQ(result.exit_code, 2) << message;
  EXPECT_EQ(error_line(result), message);
  EXPECT_EQ(result.out, "");
}

TEST(Program, AnUnknownOptionIsToldBeforeWhatIsMissing) {
  expect_usage_error({"fid", "--reel", "cifar", "--fake", "x"},
                     "unknown option '--reel' of fid; did you mean '--real'? (see ddpm-eval --help)");
  expect_usage_error({"fid", "--real", "x", "--fake", "y", "--thread=2"},
                     "unknown option '--thread' of fid; did you mean '--threads'? (see ddpm-eval --help)");
  expect_usage_error({"cache", "prune", "--days", "3"},
                     "unknown option '--days' of cache prune (see ddpm-eval --help)");
  expect_usage_error({"kid", "-x"}, "unknown option '-x' of kid (see ddpm-eval --help)");
}

TEST(Program, EmptyValuesAreUsageErrorsThatNameTheFlag) {
  const auto expect_empty = [](const std::vector<std::string>& arguments, const std::string& flag) {
    expect_usage_error(arguments, flag + ": the value is empty (see ddpm-eval --help)");
  };
  expect_empty({"train", "--config", "c.toml", "--out", ""}, "--out");
  expect_empty({"train", "--config", "", "--out", "run"}, "--config");
  expect_empty({"train", "--config", "c.toml", "--out", "run", "--set", ""}, "--set");
  expect_empty({"features", "train", "--out", ""}, "--out");
  expect_empty({"stats", "--data", "moons", "--out", ""}, "--out");
  expect_empty({"sample", "--run", "r", "--num", "1", "--out", ""}, "--out");
  expect_empty({"sample", "--run", "r", "--num", "1", "--out", "o", "--grid", ""}, "--grid");
  expect_empty({"sample", "--run", "r", "--num", "1", "--out", "o", "--steps", ""}, "--steps");
  expect_empty({"report", "r", "--out", ""}, "--out");
  expect_empty({"report", ""}, "path");
  expect_empty({"data", "fetch", ""}, "NAME");
  expect_empty({"info", "--json", ""}, "--json");
  expect_empty({"info", "--threads", ""}, "--threads");
}

TEST(Program, WhatIsNoStandardOutputIsNoFileNamedByADash) {
  const std::string why =
      " -: nothing goes to standard output by it; name a file or folder, or ./- if that is its name (see "
      "ddpm-eval --help)";
  expect_usage_error({"stats", "--data", "moons", "--out", "-"}, "--out" + why);
  expect_usage_error({"stats", "merge", "a.npz", "b.npz", "--out", "-"}, "--out" + why);
  expect_usage_error({"report", "r", "--out", "-"}, "--out" + why);
  expect_usage_error({"sample", "--run", "r", "--num", "1", "--out", "o", "--grid", "-"}, "--grid" + why);
}

TEST(Program, MessagesNameTheFlagTheyAreAbout) {
  const auto expect_start = [](const std::vector<std::string>& arguments, const std::string& start) {
    const auto result = run_program(arguments);
    EXPECT_EQ(result.exit_code, 2) << start;
    EXPECT_THAT(error_line(result), StartsWith(start));
  };
  const std::vector<std::string> sides = {"--real", "gaussian-noise:8x8x3?num=20", "--fake",
                                          "gaussian-noise:8x8x3?num=20&seed=1"};
  const auto with = [&](const std::string& command, const std::string& flag, const std::string& value) {
    std::vector<std::string> words = {command, flag, value};
    words.insert(words.end(), sides.begin(), sides.end());
    return words;
  };
  expect_start(with("fid", "--preset", "adn"), "--preset adn: there is no preset 'adn'; did you mean 'adm'?");
  expect_start({"stats", "--data", sides[1], "--out", "s.npz", "--preset", "adn"},
               "--preset adn: there is no");
  expect_start(with("explain", "--presets", "adm,adn"), "--presets adn: there is no preset 'adn'");
  expect_start(with("score", "--metrics", "fid,"),
               "--metrics fid,: a name is empty; separate them by single commas; choose from fid, sfid");
  expect_start(with("fid", "--features", "inception:2048"),
               "--features inception:2048: these are inception itself; write --features inception");
  expect_start(with("fid", "--features", "inception:pool3"),
               "--features inception:pool3: these are inception itself");
}

TEST(Program, WholeNumbersDoNotWrapAround) {
  const std::string range = ": expected a whole number from 0 to 18446744073709551615 (see ddpm-eval --help)";
  const std::vector<std::string> sample = {"sample", "--run", "r", "--out", "o", "--num"};
  for (const char* seed : {"-1", "18446744073709551616"}) {
    auto arguments = sample;
    arguments.insert(arguments.end(), {"1", "--seed", seed});
    expect_usage_error(arguments, std::string("--seed ") + seed + range);
  }
  auto arguments = sample;
  arguments.emplace_back("9223372036854775808");
  expect_usage_error(arguments,
                     "--num 9223372036854775808: expected a whole number from -9223372036854775808 to "
                     "9223372036854775807 (see ddpm-eval --help)");
  expect_usage_error({"features", "train", "--out", "n.safetensors", "--seed", "-1"},
                     "--seed -1: -1 is below 0");
  EXPECT_THAT(
      error_line(run_program({"features", "train", "--out", "n", "--seed", "18446744073709551616"})),
      StartsWith(
          "--seed 18446744073709551616: '18446744073709551616' is no whole number of at most 64 bits"));
}

TEST(Program, InfoShowsThreadsInEffectAndAFastBlas) {
  const auto result = run_program({"info", "--threads", "2", "--json", "-"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto record = nlohmann::json::parse(result.out);
  EXPECT_EQ(record["kind"], "info");
  EXPECT_EQ(record["runtime"]["threads"], 2);
  EXPECT_EQ(record["runtime"]["blas_threads"], 2);
  EXPECT_EQ(record["runtime"]["opencv_threads"], 1);
  EXPECT_THAT(record["runtime"]["blas"].get<std::string>(), HasSubstr("OpenBLAS"));
}

TEST(Program, AFullStandardOutputIsAResourceError) {
  const auto result = run_program({"info"}, {.standard_output = "/dev/full"});
  EXPECT_EQ(result.exit_code, 7) << result.err;
  EXPECT_EQ(run_program({"info", "--json", "/dev/full"}).exit_code, 7);
  for (const char* flag : {"--help", "--version"}) {
    const auto shown = run_program({flag}, {.standard_output = "/dev/full"});
    EXPECT_EQ(shown.exit_code, 7) << flag;
    EXPECT_EQ(error_line(shown), "standard output could not be written");
  }
}

TEST(Program, ControlCharactersInNamesArePrintedAsEscapes) {
  auto result = run_program({"train", "--config", "a\nb\x1b[31m.toml", "--out", "run"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(error_line(result), "a\\nb\\x1b[31m.toml: cannot be opened: No such file or directory");
  result = run_program({"info"}, {.environment = {"DDPM_EVAL_HOME=/home\n\x1b"}});
  EXPECT_THAT(result.out, AllOf(HasSubstr("weights in    /home\\n\\x1b/weights/\n"), Not(HasSubstr("\x1b"))));
}

TEST(Program, ASignalWhileItStartsIsToldByTheProgram) {
  const auto result = run_program({"info"}, {.interrupted_before_start = true});
  EXPECT_EQ(result.exit_code, 130);
  EXPECT_EQ(error_line(result), "interrupted before anything was done");
}

TEST(Program, ThreadsSleepSoonAtABarrierUnlessTheUserChose) {
  const auto wait = [](std::vector<std::string> environment) {
    environment.insert(environment.begin(), {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"});
    const auto result = run_program({"info", "--json", "-"}, {.environment = std::move(environment)});
    return nlohmann::json::parse(result.out)["runtime"]["openmp_wait"].get<std::string>();
  };
  EXPECT_EQ(wait({}), "10000 spins");
  EXPECT_EQ(wait({"GOMP_SPINCOUNT=77"}), "77 spins");
  EXPECT_EQ(wait({"OMP_WAIT_POLICY=passive"}), "passive");
}

// Of a processor that OpenBLAS does not know it takes kernels of 2004, which must not be what runs unless the
// user asks for them.
TEST(Program, BlasKernelsAreThoseOfTheProcessorUnlessTheUserChose) {
  const auto blas = [](std::vector<std::string> environment) {
    environment.insert(environment.begin(), "OPENBLAS_CORETYPE");
    const auto result = run_program({"info", "--json", "-"}, {.environment = std::move(environment)});
    return nlohmann::json::parse(result.out)["runtime"]["blas"].get<std::string>();
  };
  if (blas({}).find("OpenBLAS") == std::string::npos || !__builtin_cpu_supports("avx2")) {
    GTEST_SKIP() << "another BLAS, or a processor without AVX2";
  }
  EXPECT_THAT(blas({}), Not(HasSubstr("Prescott")));
  EXPECT_THAT(blas({"OPENBLAS_CORETYPE=Prescott"}), HasSubstr("Prescott"));
}

TEST(Program, AnInterruptEndsTheWaitForAPipe) {
  const testing::TempDir dir;
  const auto pipe = (dir / "pipe").string();
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  auto result = run_program({"train", "--config", pipe, "--out", (dir / "run").string()});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(error_line(result), pipe + ": nobody writes to this pipe");
  const int writer = ::open(pipe.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(::write(writer, "#", 1), 1);
  const auto has_read = [writer](int) {
    int waiting = 0;
    return ::ioctl(writer, FIONREAD, &waiting) == 0 && waiting == 0;
  };
  result =
      run_program({"train", "--config", pipe, "--out", (dir / "run").string()}, {.interrupt_when = has_read});
  ::close(writer);
  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_EQ(error_line(result), "interrupted while " + pipe + " was read");
}

}  // namespace
}  // namespace ddpm_eval
