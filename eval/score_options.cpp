#include "eval/score_options.h"

#include "base/core/error.h"
#include "eval/distinct_files.h"
#include "eval/output.h"
#include "eval/score_rows.h"
#include "eval/script_nets.h"
#include "metrics/preset.h"

#include <algorithm>
#include <limits>
#include <map>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

constexpr int64_t kMostSubsets = 100'000;
constexpr int64_t kMostRepeats = 1000;
constexpr int64_t kMostImages = 100'000'000;  // no set of images is larger

std::string refuse_empty(const std::string& source) {
  return source.empty() ? "names no source" : std::string();
}

/// How the scores are printed, if not as lines.
void add_table_option(CLI::App& command, std::optional<TableFormat>& format) {
  command
      .add_option_function<std::string>(
          "--table",
          [&format](const std::string& word) {
            const auto& words = table_format_words();
            const auto found =
                std::ranges::find_if(words, [&](const auto& entry) { return entry.first == word; });
            if (found == words.end()) {
              throw CLI::ValidationError("--table", "'" + word + "' is neither markdown, csv nor latex");
            }
            format = found->second;
          },
          "Print the scores as a table with its context instead, and nothing else on standard output")
      ->option_text("{markdown,csv,latex}");
}

}  // namespace

void require_own_place(const std::string& json, const ScoreOptions& options) {
  std::vector<FlagFile> inputs = {{"--weights", options.weights}};
  const auto add = [&](const char* flag, const std::string& source) {
    const auto files = source_files(flag, source);
    inputs.insert(inputs.end(), files.begin(), files.end());
  };
  if (!options.real.empty()) {
    add("--real", options.real);
  }
  add("--fake", options.fake);
  for (const auto& source : options.yardsticks) {
    add("--yardstick", source);
  }
  for (const auto& file : feature_files(options.features, options.convention)) {
    inputs.push_back({"--features", file});
  }
  require_distinct({{"--json", json}}, inputs);
}

void add_score_options(CLI::App& command, ScoreOptions& options, SidesNeeded sides) {
  const bool both = sides == SidesNeeded::kBoth || sides == SidesNeeded::kByScores;
  if (sides != SidesNeeded::kFake) {
    command
        .add_option(
            "--real", options.real,
            sides == SidesNeeded::kByScores
                ? "Reference, of all scores but is, is-infinity and vendi: a source, a statistics .npz or a "
                  "file of features"
            : both ? "Reference: a source, a statistics .npz or a file of features"
                   : "Reference: a source of images or a file of features")
        ->required(sides != SidesNeeded::kByScores)
        ->check(refuse_empty);
  }
  command
      .add_option("--fake", options.fake,
                  both ? "What is scored: a source, a statistics .npz or a file of features"
                  : sides == SidesNeeded::kFake ? "What is scored: a source of images"
                                                : "What is scored: a source of images or a file of features")
      ->required()
      ->check(refuse_empty);
  add_preset_option(command, options.preset,
                    both ? "a statistics file's own, else torch-fidelity" : "torch-fidelity");
  add_features_options(command, options.features, options.weights);
  add_torchscript_options(command, options.convention, options.trust_torchscript);
  add_feature_precision_option(command, options.precision);
  command.add_flag("--strict", options.strict, "An unreadable image is an error, not a warning");
}

void add_preset_option(CLI::App& command, std::string& preset, const std::string& default_text) {
  command
      .add_option("--preset", preset,
                  fmt::format("The tool whose numbers are wanted: {}. Default: {}", metrics::preset_names(),
                              default_text))
      ->option_text("TEXT");
}

void add_features_options(CLI::App& command, std::string& features, std::string& weights) {
  command.add_option(
      "--features", features,
      "inception, a lower layer of it (inception:64, inception:192, inception:768, "
      "inception:spatial for sFID), a built-in network (features list), a .safetensors file of "
      "one, a TorchScript file (.pt) or nvidia-inception");
  command.add_option("--weights", weights, "File of the FID Inception's weights (.pth)");
}

void add_torchscript_options(CLI::App& command, std::string& convention, bool& trust) {
  command.add_option(
      "--convention", convention,
      "What a TorchScript file is given: dinov2, clip, vgg16, nvidia-inception or a .toml file. "
      "Default: the .toml file beside it");
  command.add_flag("--trust-torchscript", trust,
                   "Run a TorchScript file, whose code may do all that you may do: for files you trust");
}

void add_feature_precision_option(CLI::App& command, std::optional<tensor::Precision>& precision) {
  command
      .add_option_function<std::string>(
          "--precision",
          [&precision](const std::string& word) {
            const auto& words = tensor::precision_words();
            const auto found = std::find_if(words.begin(), words.end(),
                                            [&](const auto& entry) { return entry.first == word; });
            if (found == words.end()) {
              throw CLI::ValidationError("--precision", "'" + word + "' is neither float32 nor bf16");
            }
            precision = found->second;
          },
          "What the FID Inception computes in: float32; bf16 rounds to 8 bits, and is faster on processors "
          "that have it")
      ->option_text("{float32,bf16}");
}

void add_frechet_options(CLI::App& command, ScoreOptions& options) {
  static const std::map<std::string, metrics::SqrtMethod> kMethods = {
      {"symmetric", metrics::SqrtMethod::kSymmetric}, {"general", metrics::SqrtMethod::kGeneral}};
  command
      .add_option("--sqrt", options.sqrt,
                  "Matrix square root of fid, sfid and mifid: symmetric, or general as SciPy's sqrtm")
      ->transform(CLI::Transformer(kMethods))
      ->check([](const std::string& word) {
        return word == "0" || word == "1" ? std::string() : "'" + word + "' is neither symmetric nor general";
      })
      ->option_text("{symmetric,general}");
  command.add_flag("--allow-mismatch", options.allow_mismatch,
                   "Compare statistics even if they were made with other features");
}

void add_yardstick_option(CLI::App& command, ScoreOptions& options) {
  command
      .add_option("--yardstick", options.yardsticks,
                  "A source of as many images as --fake, scored beside it: real images, noise. Repeatable")
      ->allow_extra_args(false);
}

void add_metrics_option(CLI::App& command, ScoreOptions& options) {
  options.wanted = parse_wanted_scores("fid,is");
  command
      .add_option_function<std::string>(
          "--metrics",
          [&options](const std::string& list) {
            try {
              options.wanted = parse_wanted_scores(list);
            } catch (const core::UsageError& error) {
              throw CLI::ValidationError("--metrics " + list, error.what());
            }
            options.metrics_given = true;
          },
          "Scores of images, several by commas: fid, sfid, is, kid, prdc, fid-infinity, is-infinity, "
          "sliced-wasserstein, mind, mifid, vendi. Default: fid,is")
      ->option_text("LIST");
}

void add_interval_option(CLI::App& command, ScoreOptions& options) {
  static const std::map<std::string, metrics::IntervalMethod> kMethods = {
      {"jackknife", metrics::IntervalMethod::kJackknife}, {"delta", metrics::IntervalMethod::kDelta}};
  command
      .add_option_function<std::string>(
          "--interval",
          [&options](const std::string& word) {
            const auto found = kMethods.find(word);
            if (found == kMethods.end()) {
              throw CLI::ValidationError("--interval", "'" + word + "' is neither jackknife nor delta");
            }
            options.interval = found->second;
          },
          "Adds 95 % intervals and, of FID and IS, the bias, by a delete-group jackknife or, of FID, by its "
          "derivatives: faster. KID, the Vendi score, precision, recall and their kin have intervals of "
          "their own, "
          "whatever the word")
      ->option_text("{jackknife,delta}");
}

void add_kernel_options(CLI::App& command, ScoreOptions& options) {
  command
      .add_option("--kid-subsets", options.kid.subsets,
                  "Subsets that kernel distances are averaged over. Default: the preset's")
      ->check(CLI::Range(int64_t{1}, kMostSubsets))
      ->option_text("N");
  command
      .add_option("--kid-subset-size", options.kid.subset_size,
                  "Images of a side in a subset. Default: the preset's")
      ->check(CLI::Range(int64_t{2}, kMostImages))
      ->option_text("N");
  command
      .add_option("--kid-seed", options.kid.seed,
                  "Of NumPy's generator, which draws the subsets. Default: the preset's, or 2020")
      ->check(CLI::Range(int64_t{0}, int64_t{std::numeric_limits<uint32_t>::max()}))
      ->option_text("S");
  static const std::map<std::string, metrics::Kernel::Kind> kKernels = {
      {"poly", metrics::Kernel::Kind::kPolynomial}, {"rbf", metrics::Kernel::Kind::kRbf}};
  command
      .add_option_function<std::string>(
          "--kid-kernel",
          [&options](const std::string& word) {
            const auto found = kKernels.find(word);
            if (found == kKernels.end()) {
              throw CLI::ValidationError("--kid-kernel", "'" + word + "' is neither poly nor rbf");
            }
            options.kid.kind = found->second;
          },
          "poly: (gamma <x, y> + coef)^degree; rbf: exp(-|x - y|^2 / (2 sigma^2)). Default: poly, and KID "
          "where "
          "the next three are as they come")
      ->option_text("{poly,rbf}");
  command.add_option("--kid-degree", options.kid.degree, "Of poly, 1 to 16. Default: 3")->option_text("N");
  command.add_option("--kid-gamma", options.kid.gamma, "Of poly. Default: 1 / the number of features")
      ->option_text("G");
  command.add_option("--kid-coef", options.kid.coef, "Of poly. Default: 1")->option_text("C");
  command.add_option("--kid-sigma", options.kid.sigma, "Of rbf, above 0. Default: 10")->option_text("S");
}

void add_neighbour_options(CLI::App& command, ScoreOptions& options) {
  command
      .add_option("--neighbours", options.neighbours,
                  "The neighbour, by distance, that a radius reaches to: k. Default: the preset's")
      ->check(CLI::Range(int64_t{1}, kMostImages))
      ->option_text("K");
}

void add_class_option(CLI::App& command, ScoreOptions& options) {
  command.add_flag("--by-class", options.by_class,
                   "Adds the distance of each class, and their mean, by the labels that both sides have");
}

void add_repeats_option(CLI::App& command, ScoreOptions& options) {
  command
      .add_option("--repeats", options.repeats,
                  "Scores so many samples of a --fake that has a seed, by that seed and those after it, and "
                  "gives the mean and the deviation over them")
      ->check(CLI::Range(int64_t{2}, kMostRepeats))
      ->option_text("N");
}

void add_scoring_command(CLI::App& command, const std::shared_ptr<ScoreOptions>& options, Session& session) {
  struct Shown {
    std::string json;
    std::optional<TableFormat> table;
  };
  auto shown = std::make_shared<Shown>();
  add_json_option(command, shown->json);
  add_table_option(command, shown->table);
  command.callback([options, shown, &session] {
    session.shared = true;
    session.action = [options, shown, &session] {
      if (shown->table && shown->json == "-") {
        throw core::UsageError("--json -, --table: only one can go to standard output");
      }
      require_own_place(shown->json, *options);
      require_json_target(shown->json);
      const auto record =
          are_points(*options) ? score_points(*options, session) : score_images(*options, session);
      if (write_json(shown->json, record)) {
        return;
      }
      if (shown->table) {
        write_output("--table", "-",
                     score_rows(read_score({record, "the record", "a score record"}), *shown->table));
      } else {
        print_score(record);
      }
    };
  });
}

}  // namespace ddpm_eval::eval
