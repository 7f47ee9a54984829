#include "eval/report/report.h"

#include "base/core/error.h"
#include "base/core/record.h"
#include "tests/support/errors.h"
#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::message_of;
using ::testing::Not;
using testing::put_file;
using testing::TempDir;

const std::string kScript = "<script>alert('x')</script>";
const std::string kSafeScript = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;";

/// The page of a folder's run.
std::string page_of(const std::filesystem::path& folder) {
  return run_page(folder, folder / "index.html").html;
}

// Names of sources, networks and metrics come from files, and a page is opened in a browser.
TEST(RunPage, NoTextOfARecordOrALogIsMarkup) {
  const TempDir dir;
  auto record = core::new_record("score");
  record["metrics"] = {{kScript, 1.5}};
  record["real"] = {{"source", kScript}, {"count", 3}};
  record["fake"] = {{"source", kScript + ".npy"}, {"count", 2}};
  record["features"] = {{"name", kScript}};
  record["yardsticks"] = {{{"source", kScript}, {"count", 2}, {"metrics", {{kScript, 2}}}}};
  record["uncertainty"] = {{kScript, {{"standard_error", 0.5}, {"estimand", kScript}, {"method", kScript}}}};
  core::write_record(dir / "score.json", record);
  put_file(dir / "log.jsonl", core::Json({{kScript, kScript}}).dump() + "\n");
  const auto page = page_of(dir.path());
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, AllOf(HasSubstr(">samples: " + kSafeScript + ".npy</th>"),
                          HasSubstr(">yardstick: " + kSafeScript + "</th>"),
                          HasSubstr("Against " + kSafeScript + ", N = 3."),
                          HasSubstr("Features: " + kSafeScript + "."),
                          HasSubstr(">" + kSafeScript + ", ± standard error</th>"),
                          HasSubstr(">" + kSafeScript + "</td>")));
}

TEST(RunPage, ScoresOfTheTrainingAreACurveWithItsBest) {
  const TempDir dir;
  const auto line = [](int step, const core::Json& value) {
    return core::Json({{"step", step},
                       {"value", value},
                       {"metric", kScript},
                       {"count", 50},
                       {"seed", 0},
                       {"real", "moons"},
                       {"real_count", 60}})
               .dump() +
           "\n";
  };
  put_file(dir / "scores.jsonl", line(10, 4.0) + line(20, 1.5) + line(30, nullptr) + line(40, 2.0));
  const auto page = page_of(dir.path());
  EXPECT_THAT(page, AllOf(HasSubstr("<svg role=\"img\""), HasSubstr("<text>the best</text>"),
                          HasSubstr("50 samples of seed 0 against moons, N = 60; the best: 1.5 at step 20."),
                          HasSubstr(kSafeScript), Not(HasSubstr("<script"))));
  put_file(dir / "scores.jsonl", line(30, nullptr));
  EXPECT_THAT(page_of(dir.path()), HasSubstr("No score could be had."));
}

TEST(RunPage, TheFoldersNameIsNotMarkup) {
  const TempDir dir;
  const auto folder = dir / "<b>bold";
  std::filesystem::create_directories(folder);
  put_file(folder / "log.jsonl", "{\"step\": 1}\n");
  const auto page = page_of(folder);
  EXPECT_THAT(page, AllOf(HasSubstr("<title>&lt;b&gt;bold – Training run</title>"),
                          HasSubstr("<h1>&lt;b&gt;bold</h1>"), Not(HasSubstr("<b>bold"))));
}

TEST(RunPage, ATrainingThatHasGoneOnIsTold) {
  const TempDir dir;
  auto record = core::new_record("run");
  record["step"] = 20;
  core::write_record(dir / "run.json", record);
  put_file(dir / "log.jsonl", "{\"step\": 10}\n{\"step\": 20}\n");
  EXPECT_THAT(page_of(dir.path()), Not(HasSubstr("has gone on")));
  put_file(dir / "log.jsonl", "{\"step\": 10}\n{\"step\": 30}\n");
  EXPECT_THAT(page_of(dir.path()), HasSubstr("has gone on since run.json was written: step 30 when"));
}

TEST(RunPage, AForeignRecordIsADataError) {
  const TempDir dir;
  put_file(dir / "score.json", "{\"schema\": 1, \"metrics\": {}}");
  EXPECT_THAT(message_of<core::DataError>([&] { page_of(dir.path()); }),
              HasSubstr("score.json: not a score record: fake is missing"));
  put_file(dir / "score.json", R"({"schema": 1, "metrics": {}, "fake": "x"})");
  EXPECT_THAT(message_of<core::DataError>([&] { page_of(dir.path()); }),
              HasSubstr("score.json: fake must be an object"));
}

TEST(RunPage, ManyBracketsAreADataError) {
  const TempDir dir;
  const auto brackets = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  put_file(dir / "log.jsonl", "{\"step\": " + brackets + "}\n");
  EXPECT_THAT(message_of<core::DataError>([&] { page_of(dir.path()); }),
              HasSubstr("log.jsonl:1: not a line of a training log"));
  put_file(dir / "score.json", R"({"schema": 1, "metrics": {"x": )" + brackets + "}}");
  EXPECT_THAT(message_of<core::DataError>([&] { page_of(dir.path()); }),
              HasSubstr("score.json: not a record"));
}

TEST(RunPage, ALineThatIsNoLogIsADataError) {
  const TempDir dir;
  put_file(dir / "log.jsonl", "{\"step\": 1}\ngarbage\n{\"step\": 2}\n");
  EXPECT_EQ(message_of<core::DataError>([&] { page_of(dir.path()); }),
            (dir / "log.jsonl").string() + ":2: not a line of a training log");
  put_file(dir / "log.jsonl", "{\"step\": 1}\n{\"st");  // being written
  EXPECT_THAT(page_of(dir.path()), HasSubstr(">1</th>"));
}

}  // namespace
}  // namespace ddpm_eval::eval
