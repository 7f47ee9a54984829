#include "tests/support/run_fixture.h"

#include <filesystem>

#include <fmt/format.h>

// Pages through the program.
namespace ddpm_eval {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using testing::bytes_of;
using testing::error_line;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::put_file;
using testing::run_program;

size_t count_of(const std::string& text, const std::string& what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
    ++count;
  }
  return count;
}

const std::string kHistoryLine =
    R"({"schema": 1, "time": "2026-11-26T02:00:00Z", "commit": "abc", "context": {"cpu": "Xeon", "threads": 2, )"
    R"("build": "Release"}, "series": [{"name": "forward", "unit": "ms", "better": "lower", "median": 10, )"
    R"("low": 9, "high": 11, "n": 5}]})";

class Report : public testing::RunFixture {
 protected:
  /// The page that the call writes, which is all that it prints of.
  std::string page_of(const std::string& name, const std::string& page) const {
    EXPECT_EQ(done({"report", path(name)}), path(page) + "\n");
    return bytes_of(path(page));
  }

  /// Nothing is loaded, and nothing could be.
  static void expect_self_contained(const std::string& page) {
    EXPECT_THAT(page, AllOf(HasSubstr("default-src &#39;none&#39;"), Not(HasSubstr("<script")),
                            Not(HasSubstr("<link")), Not(HasSubstr("url("))));
    for (const std::string attribute : {" src=\"", " href=\"", " href='"}) {
      for (size_t at = page.find(attribute); at != std::string::npos; at = page.find(attribute, at + 1)) {
        const auto target = page.substr(at + attribute.size(), 40);
        EXPECT_TRUE(target.starts_with("data:image/") || target.starts_with("#") || target.starts_with("./"))
            << target;
      }
    }
  }

  void make_grid(const std::string& base, const std::string& grid) const {
    put_file(dir_ / "base.toml", base);
    put_file(dir_ / "grid.toml", grid);
    done({"ablate", "--grid", path("grid.toml"), "--out", path("grid")});
  }
};

const std::string kGridHead =
    "title = 'Tiny <grid>'\nconfig = 'base.toml'\nseeds = 2\nbaseline = 'eps'\nthreads = 1\n[budget]\nsteps "
    "= 10\n";

TEST_F(Report, AGridOfPointsWithWhatIsMissing) {
  make_grid(
      "[data]\nsource = 'swiss-roll'\npoints = 500\n[model]\nkind = 'mlp'\n[model.mlp]\nwidth = 8\nlayers = "
      "1\n"
      "[process]\nkind = 'cosine'\nsteps = 10\n[train]\nflip = false\nbatch_size = 8\nwarmup_steps = 0\n"
      "log_every = 5\ncheckpoint_every = 5\n[sample]\nclip = false\nmicro_batch = 50\n",
      kGridHead +
          "[score]\nnum = 60\nreal = 'swiss-roll?num=60&seed=1'\n[likelihood]\ndata = "
          "'swiss-roll?num=20&seed=2'\n"
          "[[cells]]\nname = 'eps'\npublished = { bits_per_dim = '3.7' }\nnot_comparable = 'it is of "
          "images'\n"
          "[[cells]]\nname = 'mu'\nrow = '`touch x` & mu'\nset = { objective.prediction = 'mu', "
          "objective.loss = "
          "'bound' }\n");
  const auto page = page_of("grid", "grid/index.html");
  expect_self_contained(page);
  EXPECT_THAT(
      page,
      AllOf(HasSubstr("<h1>Tiny &lt;grid&gt;</h1>"), HasSubstr("2 cells, 2 seeds, 10 training steps each."),
            HasSubstr(">`touch x` &amp; mu</th>"),
            HasSubstr("The published numbers are not set beside these: it is of images"),
            HasSubstr("href=\"./eps/seed-0/record.json\""), HasSubstr("href=\"./mu/seed-1/log.txt\""),
            HasSubstr(">swiss-roll?num=60&amp;seed=1</dd>")));
  // Three metrics, two curves and two scatter plots.
  EXPECT_EQ(count_of(page, "<svg role=\"img\""), 7U);
  EXPECT_EQ(page_of("grid", "grid/index.html"), page) << "the same folder gives the same bytes";

  fs::remove(dir_ / "grid/mu/seed-1/record.json");
  put_file(dir_ / "grid/mu/seed-0/failed.json",
           R"({"schema": 1, "code": 7, "message": "no <space>", "attempts": 2})");
  fs::remove(dir_ / "grid/mu/seed-0/record.json");
  EXPECT_THAT(
      page_of("grid", "grid/index.html"),
      AllOf(HasSubstr("2 of 4 jobs done, 1 failed, 1 not run yet."), HasSubstr(">no &lt;space&gt;</td>")));
  done({"report", path("grid"), "--out", path("elsewhere.html")});
  EXPECT_THAT(bytes_of(path("elsewhere.html")), HasSubstr("href=\"./grid/eps/seed-0/record.json\""));
}

TEST_F(Report, AGridOfImagesShowsItsSamples) {
  make_grid(
      testing::kTinyImages,
      "config = 'base.toml'\nseeds = 1\nbaseline = 'a'\n[budget]\nsteps = 1\n"
      "[score]\nnum = 6\nreal = 'gaussian-noise:28x28x1?num=8&seed=1'\nfeatures = "
      "'fashion-mnist-small'\n[[cells]]\nname = 'a'\n[[cells]]\nname = 'b'\nset = { sample.eta = 1.0 }\n");
  const auto page = page_of("grid", "grid/index.html");
  expect_self_contained(page);
  EXPECT_EQ(count_of(page, "alt=\"6 samples of "), 2U);
  EXPECT_THAT(page, HasSubstr("The first 6 samples of each cell"));
  put_file(dir_ / "grid/a/seed-0/samples/000003.png", "garbage");
  refused(3, {"report", path("grid")}, "grid/a/seed-0/samples/000003.png: ");
}

TEST_F(Report, ARunWithItsAnimationsSamplesAndBound) {
  train("run", testing::kTinyPoints);
  done({"sample", "--run", path("run"), "--num", "50", "--out", path("run/samples.npy")});
  done({"nll", "--run", path("run"), "--data", "moons?num=20&seed=3", "--out", path("run/nll")});
  done({"show", "reverse", "--run", path("run"), "--num", "20", "--gif", path("run/reverse.gif")});
  done({"score", "--real", "moons?num=50&seed=1", "--fake", path("run/samples.npy"), "--json",
        path("run/score.json")});
  const auto page = page_of("run", "run/index.html");
  expect_self_contained(page);
  EXPECT_THAT(page, AllOf(HasSubstr("data:image/gif;base64,R0lGOD"),
                          HasSubstr("The bound&#39;s terms along the chain"),
                          HasSubstr("floor: fresh real points"), HasSubstr(">moons, N = 200</dd>")));
  put_file(dir_ / "run/x.gif", "garbage");
  refused(3, {"report", path("run")}, "run/x.gif: is no GIF");

  for (const auto& [record, title] :
       {std::pair("run/score.json", "sliced Wasserstein ↓"), {"run/nll/nll.json", "reconstruction"}}) {
    const auto html = fs::path(record).replace_extension(".html").string();
    const auto record_page = page_of(record, html);
    expect_self_contained(record_page);
    EXPECT_THAT(record_page,
                AllOf(HasSubstr(title),
                      HasSubstr(fmt::format("href=\"./{}\"", fs::path(record).filename().string()))));
  }
  refused(3, {"report", path("run/run.json")},
          "run.json: is the record of kind \"training\"; a page is made of");
}

// A folder holds more than its page is made of by name: lines, samples, records.
TEST_F(Report, OnlyAPageIsWrittenOver) {
  fs::create_directories(dir_ / "nights/samples");
  for (const std::string name : {"2026.jsonl", "samples/0.png", "curve.csv", "page.htm", "page.html"}) {
    put_file(dir_ / "nights" / name, name == "2026.jsonl" ? kHistoryLine + "\n" : "before");
  }
  for (const std::string name : {"2026.jsonl", "samples/0.png", "curve.csv", "samples", "new"}) {
    refused(2, {"report", path("nights"), "--out", path("nights/" + name)},
            "--out " + path("nights/" + name) + ": the name must end in .html or .htm");
  }
  EXPECT_EQ(bytes_of(path("nights/2026.jsonl")), kHistoryLine + "\n");
  EXPECT_EQ(bytes_of(path("nights/curve.csv")), "before");
  for (const std::string name : {"page.htm", "page.html", "new.html"}) {
    done({"report", path("nights"), "--out", path("nights/" + name)});
    EXPECT_THAT(bytes_of(path("nights/" + name)), HasSubstr("<h1>nights</h1>"));
  }
}

TEST_F(Report, WithoutGnuplotThePageSaysSo) {
  train("run", testing::kTinyPoints, {"--set", "train.log_every=1"});
  const testing::ProgramOptions without{.environment = {"PATH=/nowhere"}};
  const auto report = run_program({"report", path("run")}, without);
  EXPECT_EQ(report.exit_code, 0);
  EXPECT_EQ(report.err, fmt::format("warning: {}: no plots: gnuplot is not installed (Debian: gnuplot-nox)\n",
                                    path("run/index.html")));
  EXPECT_THAT(
      bytes_of(path("run/index.html")),
      AllOf(HasSubstr("gnuplot was not installed"), HasSubstr("The log in numbers"), Not(HasSubstr("<svg"))));
  const auto nll = run_program(
      {"nll", "--run", path("run"), "--data", "moons?num=20&seed=3", "--out", path("nll")}, without);
  EXPECT_EQ(nll.exit_code, 0);
  EXPECT_THAT(nll.err, HasSubstr("no curve.svg: gnuplot is not installed"));
  EXPECT_TRUE(fs::exists(dir_ / "nll/curve.csv"));
  EXPECT_FALSE(fs::exists(dir_ / "nll/curve.svg"));
}

TEST_F(Report, AHistoryIsAFileOrAFolder) {
  fs::create_directory(dir_ / "nights");
  put_file(dir_ / "nights/2026.jsonl", kHistoryLine + "\n");
  const auto page = page_of("nights", "nights/index.html");
  expect_self_contained(page);
  EXPECT_EQ(count_of(page, "<svg role=\"img\""), 1U);
  EXPECT_THAT(page_of("nights/2026.jsonl", "nights/2026.html"), HasSubstr(">forward</th>"));
  put_file(dir_ / "nights/2026.jsonl", kHistoryLine + "\n{}\n");
  refused(3, {"report", path("nights")}, "nights/2026.jsonl:2: not a line of a history: schema is missing");
}

TEST_F(Report, WhatIsNoneOfTheseIsRefused) {
  fs::create_directory(dir_ / "empty");
  put_file(dir_ / "x.txt", "");
  put_file(dir_ / "x.json", "[]");
  put_file(dir_ / "h.jsonl", kHistoryLine + "\n");
  refused(3, {"report", path("empty")}, "empty: nothing to report: no run");
  refused(3, {"report", path("nothing")}, "nothing: is not there");
  refused(3, {"report", path("x.txt")}, "x.txt: neither a folder nor a .json or .jsonl file");
  refused(3, {"report", path("x.json")}, "x.json: not a record");
  refused(2, {"report", path("h.jsonl"), "--out", path("h.jsonl")}, "is a file of the report as well");
  EXPECT_EQ(bytes_of(path("h.jsonl")), kHistoryLine + "\n");
}

}  // namespace
}  // namespace ddpm_eval
