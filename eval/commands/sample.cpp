#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/interrupt.h"
#include "base/core/seconds_since.h"
#include "base/tensor/runtime.h"
#include "eval/command.h"
#include "eval/console.h"
#include "eval/distinct_files.h"
#include "eval/name_ending.h"
#include "eval/output.h"
#include "eval/run_files.h"
#include "eval/run_source.h"
#include "eval/sample_output.h"
#include "eval/sampling_options.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

constexpr int64_t kGridImages = 64;

namespace fs = std::filesystem;

struct SampleCommand {
  SamplingRequest request;
  int64_t count = 0;
  fs::path out;
  fs::path grid;
  std::string json;
};

void stop_if_asked(int64_t done, int64_t total, const char* advice) {
  if (core::interrupt_requested()) {
    throw core::InterruptedError("interrupted after {} of {} samples; {}", done, total, advice);
  }
}

/// `row_bytes` is what the file holds of each sample. In double: the product may be beyond every integer.
void require_space(const SampleCommand& command, int64_t row_bytes) {
  const double needed = static_cast<double>(command.count) * static_cast<double>(row_bytes);
  const auto folder = command.out.has_parent_path() ? command.out.parent_path() : fs::path(".");
  std::error_code error;
  const auto space = fs::space(folder, error);
  if (!error && needed > static_cast<double>(space.available)) {
    throw core::ResourceError("{}: {} samples take {:.4g} GB, and {:.4g} GB are free there",
                              command.out.string(), command.count, needed / 1e9,
                              static_cast<double>(space.available) / 1e9);
  }
}

/// What can be wrong with the targets of images, told before any sampling.
void check_image_targets(const SampleCommand& command, const ddpm::Model& model) {
  static const std::vector<std::string> kFileEndings = {".npy", ".png", ".jpg", ".jpeg", ".zip", ".tar"};
  const auto ending = command.out.extension();
  std::error_code error;
  if (std::find(kFileEndings.begin(), kFileEndings.end(), ending) != kFileEndings.end() &&
      !fs::is_directory(command.out, error)) {
    throw core::UsageError("--out {}: images are written to a folder or an .npz file", command.out.string());
  }
  if (ending == ".npz") {
    require_space(command, 3 * model.row_shape.at(1) * model.row_shape.at(2));
  } else if (command.count > data::kMaxPngFiles) {
    throw core::UsageError("--num {}: a folder holds at most {} PNGs; write an .npz", command.count,
                           data::kMaxPngFiles);
  }
  if (!command.grid.empty()) {
    require_ending("--grid", command.grid, {".png"});
    require_writable_output(command.grid);
  }
}

void sample_images(const SampleCommand& command, const LoadedRun& run, const ProgressFn& progress) {
  if (writes_output()) {
    check_image_targets(command, run.model);
  }
  const auto output =
      open_sample_output(command.out, sample_provenance(run, command.count), run.options.micro_batch);
  if (output.first > 0) {
    print_note(
        fmt::format("{}: {} of {} samples are there", command.out.string(), output.first, command.count));
  }
  const char* advice = output.resumable ? "the same command goes on from there"
                                        : "an .npz appears only when whole: the same command begins anew";
  draw_samples(
      run, output, command.count, [&](int64_t done) { stop_if_asked(done, command.count, advice); },
      progress);
  if (!command.grid.empty() && writes_output()) {
    write_sample_grid(command.out, std::min(kGridImages, command.count), command.grid);
  }
}

void sample_points(const SampleCommand& command, const LoadedRun& run, const ProgressFn& progress) {
  for (const auto& setting : command.request.settings) {
    if (setting.assignment.starts_with("sample.rounding=")) {
      throw core::UsageError("{}: has no effect on points, which are not rounded; leave it out",
                             setting.origin);
    }
  }
  if (command.out.extension() != ".npy") {
    throw core::UsageError("--out {}: points are written to an .npy file", command.out.string());
  }
  if (!command.grid.empty()) {
    throw core::UsageError("--grid {}: this run makes points, not images", command.grid.string());
  }
  if (command.count > data::kMaxMadeUp) {
    throw core::UsageError("--num {}: is above {}, the most that is made up", command.count,
                           data::kMaxMadeUp);
  }
  if (writes_output()) {
    core::require_writable(command.out);
    require_space(command, 2 * static_cast<int64_t>(sizeof(float)));
  }
  const auto points = sample_points_of(run, {.first = 0, .count = command.count}, progress);
  if (writes_output()) {
    write_points(command.out, points, sample_provenance(run, command.count));
  }
}

void run_sample(const SampleCommand& command, const Session& session) {
  if (command.count < 1) {
    throw core::UsageError("--num {}: expected a positive number", command.count);
  }
  const bool is_npy = command.out.extension() == ".npy";
  const bool is_folder = command.out.extension() != ".npz" && !is_npy;
  const auto provenance = is_npy      ? points_provenance_file(command.out)
                          : is_folder ? command.out / data::kSampleProvenance
                                      : fs::path();
  require_distinct({{"--out", command.out, is_folder},
                    {"--out", provenance},
                    {"--grid", command.grid},
                    {"--json", command.json}},
                   files_of_run("--run", command.request.run));
  if (writes_output() && is_folder) {
    require_no_model_in({"--out", command.out});
  } else if (writes_output()) {
    require_replaceable(command.out);
  }
  require_json_target(command.json);
  const auto start = std::chrono::steady_clock::now();
  const auto run = load_run(command.request);
  if (const auto warning = prior_warning(run); !warning.empty()) {
    print_warning(warning);
  }
  const auto progress = console_progress("sampling", "samples", session.quiet);
  if (run.model.makes_images()) {
    sample_images(command, run, progress);
  } else {
    sample_points(command, run, progress);
  }
  auto record = core::new_record("samples");
  record.update(run.record);
  record["count"] = command.count;
  record["out"] = command.out.string();
  record["runtime"] = tensor::runtime_context();
  record["seconds"] = core::seconds_since(start);
  if (!write_json(command.json, record)) {
    print_line("{}: {} samples in {:.1f} s", command.out.string(), command.count,
               record["seconds"].get<double>());
  }
}

}  // namespace

void add_sample_command(CLI::App& program, Session& session) {
  auto* command = program.add_subcommand("sample", "Draw samples from a run");
  auto options = std::make_shared<SampleCommand>();
  add_sampling_options(*command, options->request);
  command->add_option("--num", options->count, "How many")->required();
  command
      ->add_option("--out", options->out, "A folder for PNGs, an .npz for one array, or an .npy for points")
      ->required();
  command->add_option("--grid", options->grid, "Also a PNG of the first 64 images");
  add_json_option(*command, options->json);
  command->callback([options, &session] {
    session.shared = true;
    session.action = [options, &session] { run_sample(*options, session); };
  });
}

}  // namespace ddpm_eval::eval
