#include "tests/support/run_fixture.h"
#include "tests/support/suites.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

// `compare` through the program: exit codes and outputs.
namespace ddpm_eval {
namespace {

using testing::bytes_of;
using testing::error_line;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::put_file;
using testing::run_program;
using testing::suite_json;
using testing::SuiteJson;
using testing::ten_times;
using testing::timed;

class Compare : public testing::RunFixture {
 protected:
  Compare() {
    const auto null = timed("spin", ten_times(), "null");
    base_ = suite_json("old", {timed("forward", ten_times()), null});
    put("base.json", base_);
    put("same.json", base_);
    put("slow.json", suite_json("slow", {timed("forward", ten_times(1.1)), null}));
    put("fast.json", suite_json("fast", {timed("forward", ten_times(0.8)), null}));
  }

  void put(const std::string& name, const SuiteJson& suite) const { put_file(dir_ / name, suite.dump()); }

  Arguments call(const std::string& now, const Arguments& more = {}) const {
    Arguments arguments = {"compare", path("base.json"), path(now)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  SuiteJson base_;
};

TEST_F(Compare, NothingWorseIsDone) {
  EXPECT_THAT(done(call("same.json")), HasSubstr("none of 2 series is worse.\n"));
  EXPECT_THAT(done(call("fast.json")), HasSubstr("none of 2 series is worse, 1 is better.\n"));
  EXPECT_THAT(done(call("slow.json", {"--threshold", "12%"})), HasSubstr("below threshold"));
  EXPECT_THAT(done(call("slow.json", {"--threshold", "0.12"})), HasSubstr("below threshold"));
}

TEST_F(Compare, ARegressionIsExitCode4AfterTheTable) {
  const auto result = run_program(call("slow.json", {"--markdown", path("slow.md")}));
  EXPECT_EQ(result.exit_code, 4) << result.err;
  EXPECT_THAT(error_line(result), HasSubstr("slow.json: 1 of 2 series is worse: forward (+10.0 %)"));
  EXPECT_THAT(result.out, HasSubstr("+10.0 %"));
  EXPECT_THAT(bytes_of(path("slow.md")), HasSubstr("### 1 of 2 series is worse\n"));
  auto hostile = base_;
  hostile["series"][0]["name"] = "bell\a\x1b[31m\tof | two\nlines";
  put("hostile.json", hostile);
  EXPECT_THAT(done({"compare", path("hostile.json"), path("hostile.json"), "--markdown", "-"}),
              HasSubstr(R"(| bell\\x07\\x1b[31m of \| two lines |)"));
}

TEST_F(Compare, OneRecordAndNothingElse) {
  const auto result = run_program(call("slow.json", {"--json", "-"}));
  EXPECT_EQ(result.exit_code, 4);
  const auto record = nlohmann::json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  ASSERT_TRUE(record.is_object());
  EXPECT_EQ(record["kind"], "comparison");
  EXPECT_EQ(record["worse"], 1);
  EXPECT_EQ(record_of(call("same.json"))["worse"], 0);
  const auto markdown = done(call("same.json", {"--markdown", "-", "--json", path("same-as.json")}));
  EXPECT_THAT(markdown, ::testing::StartsWith("### None of 2 series is worse\n"));
  EXPECT_THAT(markdown, Not(HasSubstr("\nforward ")));
  EXPECT_EQ(testing::json_of(path("same-as.json"))["series"].size(), 2U);
}

TEST_F(Compare, OtherContextsAreExitCode6UnlessToldTo) {
  auto other = base_;
  other["context"]["cpu"] = "EPYC";
  other["context"]["threads"] = 8;
  put("other.json", other);
  refused(6, call("other.json"),
          "different contexts: cpu (Xeon and EPYC), threads (2 and 8); --allow-mismatch");
  EXPECT_THAT(done(call("other.json", {"--allow-mismatch"})),
              HasSubstr("The contexts differ: cpu (Xeon and EPYC), threads (2 and 8).\n"));
}

TEST_F(Compare, WhatStaysOpenIsExitCode6UnlessToldTo) {
  const auto left_open = [&](const std::string& now, const char* why) {
    const auto result = run_program(call(now));
    EXPECT_EQ(result.exit_code, 6) << result.err;
    EXPECT_THAT(result.out, HasSubstr("verdict")) << "the table comes first";
    EXPECT_THAT(error_line(result), HasSubstr(why));
  };
  auto fewer = base_;
  fewer["series"].erase(0);
  fewer["series"].push_back(timed("another", ten_times()));
  put("fewer.json", fewer);
  left_open("fewer.json", "nothing is shown to be worse, but 1 of the baseline's series not measured");
  EXPECT_THAT(done(call("fewer.json", {"--allow-mismatch"})), HasSubstr("none of 3 series is worse"));
  const auto null = timed("spin", ten_times(), "null");
  put("base.json", suite_json("old", {timed("forward", {1, 2, 3}), null}));
  put("few.json", suite_json("new", {timed("forward", {4, 5, 6}), null}));
  left_open("few.json", "but too few repetitions to show any change");
  put("base.json", base_);
  put("loud.json",
      suite_json("new", {timed("forward", ten_times(1.1)), timed("spin", ten_times(1.2), "null")}));
  left_open("loud.json", "but 1 slower by no more than the null subject's noise; --allow-mismatch");
}

TEST_F(Compare, BadFilesAreExitCode3) {
  refused(3, call("absent.json"), "absent.json");
  put_file(dir_ / "text.json", "not JSON");
  refused(3, call("text.json"), "text.json: not a suite record: it is no valid JSON");
  auto bad = base_;
  for (const double number : {0.0, 1e-300, 1e300}) {
    bad["series"][0]["repetitions"][3] = number;
    put("bad.json", bad);
    refused(3, call("bad.json"), "bad.json: series 'forward': repetitions[3] must be a positive number");
  }
}

TEST_F(Compare, WrongFlagsAreExitCode2) {
  refused(2, {"compare", path("base.json")}, "new is required");
  for (const char* threshold : {"5", "1", "-1%", "nan", "five", "5%%", "5 %", "2000%"}) {
    refused(2, call("same.json", {std::string("--threshold=") + threshold}),
            std::string("--threshold ") + threshold + ": expected 0% to 1000%, as 5% or 0.05");
  }
  refused(2, call("same.json", {"--level", "0"}), "--level 0: expected 1e-07% to 50%, as 5% or 0.05");
  refused(2, call("same.json", {"--json", "-", "--markdown", "-"}), "only one can go to standard output");
  refused(2, call("same.json", {"--json", path("same.json")}), "--json");
  refused(2, call("same.json", {"--json", path("x"), "--markdown", path("x")}), "--markdown");
  refused(7, call("same.json", {"--json", "/no/such/folder/x.json"}), "/no/such/folder/x.json");
}

}  // namespace
}  // namespace ddpm_eval
