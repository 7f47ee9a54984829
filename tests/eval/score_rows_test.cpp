#include "eval/score_rows.h"

#include "eval/csv.h"
#include "eval/latex.h"
#include "eval/markdown.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

// Tables of scores for papers, and how texts get into their formats.
namespace ddpm_eval::eval {
namespace {

using core::Json;

std::string rows_of(const Json& record, TableFormat format) {
  return score_rows(read_score({record, "s.json", "a score record"}), format);
}

/// One of each: an interval, a standard error, a spread, a yardstick and a name that means something to every
/// format.
Json scored() {
  return Json::parse(R"({
    "metrics": {"frechet_inception_distance": 12.5, "kernel_inception_distance_mean": 0.0123,
                "kernel_inception_distance_std": 0.0011, "kernel_inception_distance": 0.0125},
    "uncertainty": {
      "frechet_inception_distance": {"method": "jackknife", "level": 0.95, "standard_error": 0.3, "bias": 2,
        "at_count": {"estimand": "a", "low": 11.5, "high": 13.5},
        "at_infinity": {"estimand": "b", "low": 9.5, "high": 11.25}},
      "kernel_inception_distance": {"standard_error": 0.0004, "method": "m"}},
    "real": {"source": "cifar", "count": 50000}, "fake": {"source": "a|b & 50%_\"x\", y\nz", "count": 100},
    "yardsticks": [{"source": "test", "count": 100, "metrics": {"frechet_inception_distance": 3}}],
    "features": {"name": "inception"}, "preset": "torch-fidelity", "notes": []})");
}

TEST(ScoreRows, MarkdownByHand) {
  EXPECT_EQ(
      rows_of(scored(), TableFormat::kMarkdown),
      "| images | N | against | N of these | FID ↓, ± standard error | FID, 95 % at this N | FID, 95 % for N "
      "→ ∞ | "
      "KID of subsets ↓, ± over subsets | KID of subsets × 1000 | KID ↓, ± standard error | KID × 1000 | "
      "features | "
      "preset |\n"
      "|:--|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
      "| a\\|b & 50%\\_\"x\", y z | 100 | cifar | 50000 | 12.50 ± 0.30 | 11.5 to 13.5 | 9.5 to 11.25 | "
      "0.0123 ± 0.0011 | 12.3 ± 1.1 | 0.01250 ± 0.00040 | 12.50 ± 0.40 | inception | torch-fidelity |\n"
      "| yardstick: test | 100 | cifar | 50000 | 3 | – | – | – | – | – | – | inception | torch-fidelity |\n");
}

TEST(ScoreRows, LatexByHand) {
  EXPECT_EQ(
      rows_of(scored(), TableFormat::kLatex),
      "% needs \\usepackage{booktabs}\n"
      "\\begin{tabular}{lrrrrrrrrrrrr}\n"
      "\\toprule\n"
      "images & N & against & N of these & FID $\\downarrow$, $\\pm$ standard error & FID, 95 \\% at this N "
      "& "
      "FID, 95 \\% for N $\\to$ $\\infty$ & KID of subsets $\\downarrow$, $\\pm$ over subsets & "
      "KID of subsets $\\times$ 1000 & KID $\\downarrow$, $\\pm$ standard error & KID $\\times$ 1000 & "
      "features & "
      "preset \\\\\n"
      "\\midrule\n"
      "a\\textbar{}b \\& 50\\%\\_''x'', y z & 100 & cifar & 50000 & 12.50 $\\pm$ 0.30 & 11.5 to 13.5 & "
      "9.5 to 11.25 & 0.0123 $\\pm$ 0.0011 & 12.3 $\\pm$ 1.1 & 0.01250 $\\pm$ 0.00040 & 12.50 $\\pm$ 0.40 & "
      "inception & torch-fidelity \\\\\n"
      "yardstick: test & 100 & cifar & 50000 & 3 & -- & -- & -- & -- & -- & -- & inception & torch-fidelity "
      "\\\\\n"
      "\\bottomrule\n"
      "\\end{tabular}\n");
}

TEST(ScoreRows, CsvByHand) {
  const std::string name = "\"a|b & 50%_\"\"x\"\", y\nz\"";
  EXPECT_EQ(
      rows_of(scored(), TableFormat::kCsv),
      "role,source,count,reference,reference_count,features,preset,metric,value,spread,standard_error,bias,"
      "level,"
      "at_count_low,at_count_high,at_infinity_low,at_infinity_high,samples,sd_over_samples,kernel\n"
      "samples," +
          name +
          ",100,cifar,50000,inception,torch-fidelity,frechet_inception_distance,12.5,,0.3,2,0.95,"
          "11.5,13.5,9.5,11.25,,,\n"
          "samples," +
          name +
          ",100,cifar,50000,inception,torch-fidelity,kernel_inception_distance_mean,0.0123,0.0011,"
          ",,,,,,,,,\n"
          "samples," +
          name +
          ",100,cifar,50000,inception,torch-fidelity,kernel_inception_distance,0.0125,,0.0004,,,,,,,,,\n"
          "yardstick,test,100,cifar,50000,inception,torch-fidelity,frechet_inception_distance,3,,,,,,,,,,,"
          "\n");
}

/// Means over three samples beside a yardstick, which is one, and the floor, which is a median.
Json repeated() {
  return Json::parse(R"({
    "metrics": {"inception_score_mean": 8.5, "inception_score_std": 0.5, "kernel_inception_distance": 0.0125},
    "repeats": {"count": 3, "what": "w", "samples": [{}, {}, {}],
                "deviations": {"inception_score_mean": 0.25, "inception_score_std": 0.125,
                               "kernel_inception_distance": 0.0005}},
    "real": {"source": "cifar", "count": 50000}, "fake": {"source": "run:a?seed=1", "count": 100},
    "yardsticks": [{"source": "test", "count": 100,
                    "metrics": {"inception_score_mean": 9, "inception_score_std": 0.75}}],
    "floor": {"kernel_inception_distance": 0.001}, "notes": []})");
}

TEST(ScoreRows, MeansOverSamplesHaveTheirNumberAndDeviation) {
  EXPECT_EQ(
      rows_of(repeated(), TableFormat::kMarkdown),
      "| images | N | samples | against | N of these | IS ↑, ± over 3 samples | KID ↓, ± over 3 samples | "
      "KID × 1000 |\n"
      "|:--|--:|--:|--:|--:|--:|--:|--:|\n"
      "| run:a?seed=1 | 100 | 3 | cifar | 50000 | 8.50 ± 0.25 | 0.01250 ± 0.00050 | 12.50 ± 0.50 |\n"
      "| yardstick: test | 100 | 1 | cifar | 50000 | 9 | – | – |\n"
      "| floor: fresh real points, median | – | – | cifar | 50000 | – | 0.001 | 1 |\n");
  EXPECT_EQ(rows_of(repeated(), TableFormat::kLatex),
            "% needs \\usepackage{booktabs}\n"
            "\\begin{tabular}{lrrrrrrr}\n"
            "\\toprule\n"
            "images & N & samples & against & N of these & IS $\\uparrow$, $\\pm$ over 3 samples & "
            "KID $\\downarrow$, $\\pm$ over 3 samples & KID $\\times$ 1000 \\\\\n"
            "\\midrule\n"
            "run:a?seed=1 & 100 & 3 & cifar & 50000 & 8.50 $\\pm$ 0.25 & 0.01250 $\\pm$ 0.00050 & "
            "12.50 $\\pm$ 0.50 \\\\\n"
            "yardstick: test & 100 & 1 & cifar & 50000 & 9 & -- & -- \\\\\n"
            "floor: fresh real points, median & -- & -- & cifar & 50000 & -- & 0.001 & 1 \\\\\n"
            "\\bottomrule\n"
            "\\end{tabular}\n");
  EXPECT_EQ(
      rows_of(repeated(), TableFormat::kCsv),
      "role,source,count,reference,reference_count,features,preset,metric,value,spread,standard_error,bias,"
      "level,at_count_low,at_count_high,at_infinity_low,at_infinity_high,samples,sd_over_samples,kernel\n"
      "samples,run:a?seed=1,100,cifar,50000,,,inception_score_mean,8.5,,,,,,,,,3,0.25,\n"
      "samples,run:a?seed=1,100,cifar,50000,,,kernel_inception_distance,0.0125,,,,,,,,,3,0.0005,\n"
      "yardstick,test,100,cifar,50000,,,inception_score_mean,9,0.75,,,,,,,,,,\n"
      "floor,\"fresh real points, median\",,cifar,50000,,,kernel_inception_distance,0.001,,,,,,,,,,,\n");
}

TEST(ScoreRows, MeansOverClassesHaveNames) {
  for (const auto& [key, name] : {std::pair{"intra_frechet_inception_distance", "intra-FID ↓"},
                                  {"intra_spatial_frechet_inception_distance", "intra-sFID ↓"},
                                  {"intra_frechet_distance", "intra Frechet distance ↓"}}) {
    const Json record = {{"metrics", {{key, 2.5}}},
                         {"real", {{"source", "y"}, {"count", 5}}},
                         {"fake", {{"source", "x"}, {"count", 5}}}};
    EXPECT_EQ(rows_of(record, TableFormat::kMarkdown),
              "| images | N | against | N of these | " + std::string(name) +
                  " |\n|:--|--:|--:|--:|--:|\n| x | 5 | y | 5 | 2.5 |\n");
  }
}

TEST(ScoreRows, WhatARecordLacksHasNoColumn) {
  const Json record = {{"metrics", {{"inception_score_mean", 8.0}}},
                       {"fake", {{"source", "x"}, {"count", 5}}}};
  EXPECT_EQ(rows_of(record, TableFormat::kMarkdown), "| images | N | IS ↑ |\n|:--|--:|--:|\n| x | 5 | 8 |\n");
  const Json points = {{"metrics", {{"energy_distance", 0.5}, {"sliced_wasserstein_distance", 0.25}}},
                       {"real", {{"source", "moons"}, {"count", 5}}},
                       {"fake", {{"source", "x.npy"}, {"count", 5}}},
                       {"floor", {{"sliced_wasserstein_distance", 0.125}, {"draws", 5}}}};
  EXPECT_EQ(rows_of(points, TableFormat::kMarkdown),
            "| images | N | against | N of these | energy distance ↓ | sliced Wasserstein ↓ |\n"
            "|:--|--:|--:|--:|--:|--:|\n"
            "| x.npy | 5 | moons | 5 | 0.5 | 0.25 |\n"
            "| floor: fresh real points, median | – | moons | 5 | – | 0.125 |\n");
}

TEST(LatexText, WhatMeansSomethingIsItself) {
  EXPECT_EQ(latex_text("\\ & % $ # _ { } ~ ^ < > | \" -- – ± × ∞ → ↑ ↓ \t[*]\x01"),
            "\\textbackslash{} \\& \\% \\$ \\# \\_ \\{ \\} \\textasciitilde{} \\textasciicircum{} $<$ $>$ "
            "\\textbar{} '' "
            "-{}- -- $\\pm$ $\\times$ $\\infty$ $\\to$ $\\uparrow$ $\\downarrow$  [*]\\textbackslash{}x01");
  EXPECT_EQ(latex_tabular({{"[a]", "b"}, {"*", "[c]"}}),
            "\\begin{tabular}{lr}\n\\toprule\n{}[a] & b \\\\\n\\midrule\n{}* & [c] "
            "\\\\\n\\bottomrule\n\\end{tabular}\n");
}

TEST(MarkdownText, WhatMeansSomethingIsItself) {
  EXPECT_EQ(markdown_text("a_b _c_ `d` ~e~ *f* g|h <i> [j](k) [l] &lt; &m; & x&y \\ n\no"),
            "a_b \\_c\\_ \\`d\\` \\~e\\~ \\*f\\* g\\|h &lt;i> [j\\](k) [l] &amp;lt; &amp;m; & x&y \\\\ n o");
}

TEST(CsvLine, IsAsRfc4180HasIt) {
  EXPECT_EQ(csv_line({"a", "", "b c", "d,e", "f\"g", "h\ni", "j\rk"}),
            "a,,b c,\"d,e\",\"f\"\"g\",\"h\ni\",\"j\rk\"\n");
}

}  // namespace
}  // namespace ddpm_eval::eval
