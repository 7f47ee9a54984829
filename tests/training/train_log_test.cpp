#include "base/training/train_log.h"

#include "base/core/file_io.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

namespace ddpm_eval::training {
namespace {

using ::testing::HasSubstr;
using testing::message_of;
using testing::TempDir;

TEST(TrainLog, LinesAreJsonWithTimingsLast) {
  const TempDir folder;
  TrainLog log(folder / "log.jsonl", 0);
  log.append({.step = 10,
              .loss = 0.5,
              .entries = {{"loss_q0", 0.25}},
              .grad_norm = 2,
              .clipped_share = 1,
              .learning_rate = 0.125,
              .images_per_second = 64,
              .seconds = 1.5,
              .seconds_left = 9});
  EXPECT_EQ(core::read_text(folder / "log.jsonl"),
            "{\"step\":10,\"loss\":0.5,\"loss_q0\":0.25,\"grad_norm\":2.0,\"clipped_share\":1.0,"
            "\"learning_rate\":0.125,\"images_per_second\":64.0,\"seconds\":1.5,\"seconds_left\":9.0}\n");
}

TEST(TrainLog, ResumeDropsWhatCameAfterTheCheckpoint) {
  const TempDir folder;
  const auto path = folder / "log.jsonl";
  core::write_file(path,
                   "{\"step\":10,\"seconds\":1.0}\n{\"step\":20,\"seconds\":2.5}\n"
                   "{\"step\":30,\"seconds\":4.0}\n");
  EXPECT_EQ(TrainLog(path, 25).seconds_before(), 2.5);
  EXPECT_EQ(core::read_text(path), "{\"step\":10,\"seconds\":1.0}\n{\"step\":20,\"seconds\":2.5}\n");
  EXPECT_EQ(TrainLog(path, 20).seconds_before(), 2.5);
  EXPECT_EQ(TrainLog(path, 0).seconds_before(), 0);
  EXPECT_EQ(core::read_text(path), "");
}

TEST(TrainLog, ResumeDropsHalfALineAndWhatIsNoLine) {
  const TempDir folder;
  const auto path = folder / "log.jsonl";
  for (const char* tail :
       {"{\"step\":20,\"lo", "{\"step\":20}", "\x01\xff\n", "[1]\n", "{\"step\":\"x\"}\n"}) {
    core::write_file(path, std::string("{\"step\":10}\n") + tail);
    const TrainLog log(path, 100);
    EXPECT_EQ(core::read_text(path), "{\"step\":10}\n") << tail;
  }
}

TEST(TrainLog, DivergenceIsStillJson) {
  const TempDir folder;
  TrainLog log(folder / "log.jsonl", 0);
  log.append(Divergence{.step = 7,
                        .first_step = 7,
                        .reason = "loss",
                        .loss = NAN,
                        .grad_norm = INFINITY,
                        .learning_rate = 0.5,
                        .loss_before = {},
                        .checkpoint = {}});
  EXPECT_EQ(core::read_text(folder / "log.jsonl"),
            "{\"step\":7,\"event\":\"diverged\",\"reason\":\"loss\",\"loss\":\"nan\",\"grad_norm\":\"inf\","
            "\"learning_rate\":0.5}\n");
}

TEST(TrainLog, CannotBeWritten) {
  const TempDir folder;
  std::filesystem::create_directory(folder / "log.jsonl");
  EXPECT_THROW(TrainLog(folder / "log.jsonl", 0), core::Error);
  EXPECT_EQ(message_of<core::DataError>([] { TrainLog("/dev/full", 0); }),
            "/dev/full: is a device or a terminal, not a file or a pipe");
  // As on a full disk: no file of this process may grow beyond a byte.
  const auto path = folder / "full.jsonl";
  TrainLog full(path, 0);
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto on_excess = ::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit one_byte = {1, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &one_byte), 0);
  const auto message = message_of<core::ResourceError>([&] { full.append(LogLine{}); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, on_excess);
  EXPECT_THAT(message, HasSubstr(path.string()));
}

TEST(LogWindow, MeansAndExactRoundTrip) {
  LogWindow window;
  EXPECT_EQ(window.mean("loss"), 0);
  window.add("loss", 0.1);
  window.add("loss", 0.2);
  window.add("loss_q3", 1.0 / 3.0);
  window.add("tiny", std::numeric_limits<double>::denorm_min());
  EXPECT_DOUBLE_EQ(window.mean("loss"), 0.15);
  EXPECT_EQ(window.task_means().size(), 2U);
  const std::string json = window.to_json();
  const LogWindow back = LogWindow::from_json(json, "test");
  EXPECT_EQ(back.mean("loss"), window.mean("loss"));
  EXPECT_EQ(back.mean("loss_q3"), 1.0 / 3.0);
  EXPECT_EQ(back.to_json(), json);
}

TEST(LogWindow, DamagedSums) {
  for (const char* text :
       {"", "[]", "{\"loss\":1}", "{\"loss\":[1]}", "{\"loss\":[null,1]}", "{\"loss\":[1,0]}"}) {
    EXPECT_THAT(message_of<core::DataError>([&] { LogWindow::from_json(text, "run/x"); }),
                HasSubstr("run/x"));
  }
  LogWindow window;
  EXPECT_THROW(window.add("loss", NAN), core::LogicError);
}

}  // namespace
}  // namespace ddpm_eval::training
