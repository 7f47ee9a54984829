#include "eval/likelihood_run.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/core/interrupt.h"
#include "base/core/seconds_since.h"
#include "base/data/points.h"
#include "base/data/source_spec.h"
#include "base/tensor/process_group.h"
#include "base/tensor/runtime.h"
#include "base/tensor/shape.h"
#include "ddpm/choice.h"
#include "eval/console.h"
#include "eval/gnuplot.h"
#include "eval/image_sets.h"
#include "eval/likelihood_state.h"
#include "eval/output.h"
#include "eval/plot.h"
#include "eval/point_set.h"
#include "eval/run_files.h"
#include "eval/training_data.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include <c10/util/accumulate.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;
using core::Json;
using Clock = std::chrono::steady_clock;

struct EvaluationData {
  at::Tensor x_0;  ///< float32 [n, ...] as the network was trained on it
  double log_scale =
      0;  ///< mean log of the points' standard deviations: nats per dimension back to their own unit
};

EvaluationData load_data(const std::string& source, const ddpm::Model& model, ImageSets* sets) {
  const auto spec = data::parse_source(source);
  at::Tensor data;
  if (spec.kind == data::SourceKind::kPoints) {
    data = data::make_points(spec.name, spec.subset.first, spec.subset.count.value_or(kDefaultPoints),
                             spec.seed);
  } else {
    const core::Key key{"--data " + source};
    data = (sets != nullptr ? sets->load(key, spec) : load_all_images(key, spec)).images_u8;
  }
  if (data.sizes().slice(1) != at::IntArrayRef(model.row_shape)) {
    throw core::UsageError("--data {}: examples of shape {}, and the run was trained on {}", source,
                           tensor::describe(data.sizes().slice(1)), tensor::describe(model.row_shape));
  }
  if (model.makes_images()) {
    return {ddpm::to_pm1(data), 0};
  }
  return {(data - model.mean) / model.std, model.std.to(torch::kFloat64).log().mean().item<double>()};
}

/// What the numbers are a function of; an evaluation goes on only with the same.
Json evaluation_key(const LikelihoodRequest& request, const LikelihoodSettings& settings,
                    const LoadedRun& run, int64_t count) {
  return {{"checkpoint_sha256", run.record.at("checkpoint_sha256")},
          {"weights", run.record.at("weights")},
          {"data", request.data},
          {"count", count},
          {"strata", settings.options.strata},
          {"micro_batch", settings.options.micro_batch},
          {"network_precision", ddpm::word_of(tensor::precision_words(), settings.precision)},
          {"clip", settings.options.clip},
          {"seed", settings.options.seed}};
}

/// The settings with what follows from the run; whatever does not suit is told with its flag.
LikelihoodSettings read_settings(const LikelihoodRequest& request, const ddpm::Model& model) {
  core::ConfigTree tree;
  lay_over(tree, request.settings);
  LikelihoodSettings settings;
  core::read_config(tree, settings);
  settings.options.seed = request.seed;
  core::named_as_given(tree, [&] {
    settings.options.validate(model.process.steps());
    require_memory({"micro_batch"}, settings.options.micro_batch,
                   sizeof(float) * static_cast<double>(c10::multiply_integers(model.row_shape)));
    if (!model.makes_images() && !settings.options.clip) {
      throw core::UsageError(core::Key{"clip"},
                             "has no effect on points, which are never clipped; leave it out");
    }
    if (!model.makes_images() && settings.precision != tensor::Precision::kFloat32) {
      throw core::UsageError(core::Key{"precision"}, "networks for points have 'float32' alone");
    }
  });
  settings.options.clip = model.makes_images() && settings.options.clip;
  return settings;
}

/// The terms of the micro-batches of all processes, in their order.
void add_all(ddpm::BoundSums& sums, const ddpm::LikelihoodTerms& own) {
  auto& group = tensor::process_group();
  const auto prior = group.all_gather(own.prior);
  const auto terms = group.all_gather(own.terms);
  const auto x_0_mse = group.all_gather(own.x_0_mse);
  for (size_t rank = 0; rank < prior.size(); ++rank) {
    if (prior[rank].defined()) {
      sums.add({prior[rank], terms[rank], x_0_mse[rank]});
    }
  }
}

ddpm::BoundReport evaluate(const LikelihoodSettings& settings, const ddpm::Model& model,
                           const at::Tensor& x_0, LikelihoodState& state, const ProgressFn& progress) {
  const auto& options = settings.options;
  const auto prepared = model.network->prepare(settings.precision);
  const ddpm::SamplingModel parts{prepared ? *prepared : *model.network, model.process,
                                  model.parameterisation};
  const auto decoder = model.makes_images() ? ddpm::Decoder::kDiscretised : ddpm::Decoder::kContinuous;
  const auto strata = ddpm::strata_of(model.process.steps(), options.strata);
  const auto passes = static_cast<int64_t>(strata.size());
  const int64_t n = x_0.size(0);
  const int64_t total = (n + options.micro_batch - 1) / options.micro_batch * passes;
  ddpm::BoundSums sums(strata);
  auto& group = tensor::process_group();
  auto saved = group.is_first() ? state.restore(sums, n, options.micro_batch) : tensor::NamedTensors();
  const int64_t first = group.number_from_first(sums.count());
  int64_t done = first / options.micro_batch * passes;
  // A round is a micro-batch for every process, as far as there are any.
  for (int64_t begin = first; begin < n; begin += group.size() * options.micro_batch) {
    const int64_t batches =
        std::min<int64_t>(group.size(), (n - begin + options.micro_batch - 1) / options.micro_batch);
    ddpm::LikelihoodTerms own;
    if (const int64_t own_begin = begin + group.rank() * options.micro_batch; own_begin < n) {
      const auto rows = x_0.narrow(0, own_begin, std::min(options.micro_batch, n - own_begin));
      ddpm::LikelihoodBatch batch(parts, decoder, options, rows, own_begin);
      if (!saved.empty()) {
        LikelihoodState::restore(batch, saved);
        done += tensor::find(saved, "partial.terms").size(1) * batches;
        print_note(fmt::format("goes on after {} of {} passes through the network", done, total));
        saved.clear();
      }
      while (!batch.done()) {
        batch.step();
        progress(done += batches, total);
        const bool interrupted = core::interrupt_requested();
        if (group.is_first() && (interrupted || state.due())) {
          state.save(sums, batch);
        }
        if (interrupted) {
          throw core::InterruptedError(
              "interrupted after {} of {} passes through the network; the same command goes on", done, total);
        }
      }
      own = batch.terms();
    }
    add_all(sums, own);
  }
  return sums.report();
}

Json mean_json(const ddpm::MeanError& value) { return {{"mean", value.mean}, {"error", value.error}}; }

Json result_json(const ddpm::BoundReport& report, bool images) {
  const std::string unit = images ? "bits_per_dim" : "nats_per_dim";
  Json result;
  result["metrics"] = {{unit, report.total.mean}, {unit + "_error", report.total.error}};
  result["parts"] = {{"regularisation", mean_json(report.regularisation)},
                     {"denoising", mean_json(report.denoising)},
                     {"reconstruction", mean_json(report.reconstruction)}};
  result["unit"] = images ? "bits/dim" : "nats/dim";
  result["decoder"] = images ? "discretised Gaussian over 256 levels, tanh form"
                             : "continuous Gaussian density, in the data's own unit";
  result["progressive_coding"] = Json::array();
  for (const auto& row : ddpm::progressive_coding(report)) {
    result["progressive_coding"].push_back({{"steps", row.steps},
                                            {"rate", row.rate},
                                            {"rmse", (images ? 127.5 : 1.0) * std::sqrt(row.x_0_mse)}});
  }
  return result;
}

/// The terms as curve.csv; returns what to draw.
Plot write_curve(const fs::path& folder, const ddpm::BoundReport& report, const std::string& unit) {
  std::string csv = std::string(kBoundCurveHead) + "\n";
  PlotSeries terms{"", {}, Marks::kLine, Interval::kBand};
  for (const auto& point : report.curve) {
    const double mean = point.term.mean, error = point.term.error;
    csv +=
        fmt::format("{},{},{},{},{}\n", point.stratum.first, point.stratum.count, mean, error, point.x_0_mse);
    const double t =
        static_cast<double>(point.stratum.first) + static_cast<double>(point.stratum.count - 1) / 2;
    terms.points.push_back({t, mean, mean - error, mean + error});
  }
  core::write_file(folder / "curve.csv", csv);
  CurvePlot curve{"t", unit + " per step", {std::move(terms)}};
  curve.log_y = true;
  return curve;
}

/// The numbers are there without the picture: what keeps it from being drawn is a warning.
void draw_curve(const fs::path& folder, const Plot& plot) {
  if (!has_points(plot)) {
    return;
  }
  const auto warn = [&](const std::string& why) {
    print_warning(fmt::format("{}: no curve.svg: {}", folder.string(), why));
  };
  try {
    if (const auto drawn = draw_plots({&plot, 1}, Paper::kWhite)) {
      core::write_file(folder / "curve.svg", drawn->front());
    } else {
      warn(kNoGnuplot);
    }
  } catch (const core::ResourceError& error) {
    warn(error.what());
  }
}

}  // namespace

void LikelihoodSettings::fields(core::ConfigVisitor& v) {
  v.value("strata", options.strata);
  v.value("micro_batch", options.micro_batch);
  v.value("clip", options.clip);
  ddpm::choice(v, "precision", precision, tensor::precision_words());
}

Json evaluate_likelihood(const LikelihoodRequest& request, const Session& session, ImageSets* sets) {
  const auto start = Clock::now();
  const auto run = load_run(request.run);
  const auto settings = read_settings(request, run.model);
  const auto data = load_data(request.data, run.model, sets);
  const bool writes = writes_output();
  std::optional<core::FolderLock> lock;
  if (writes) {
    core::make_folders(request.out);
    lock.emplace(request.out);
    core::remove_abandoned_files(request.out);
  }
  const auto key = evaluation_key(request, settings, run, data.x_0.size(0));
  auto of_all = key;
  of_all.erase("data");  // whose images have been compared, and may lie elsewhere
  tensor::process_group().require_same("the settings of the evaluation", core::json_text(of_all));
  LikelihoodState state(request.out, key);
  const auto finished = writes ? finished_likelihood(request.out, key) : std::nullopt;
  if (tensor::process_group().any(finished.has_value())) {
    print_note(fmt::format("{}: was complete; its record stays", request.out.string()));
    if (writes) {
      state.remove();
    }
    return shared_record(finished.value_or(Json()));
  }
  auto report = evaluate(settings, run.model, data.x_0, state,
                         console_progress("evaluating " + request.data, "passes", session.quiet));
  if (!writes) {
    return shared_record({});
  }
  report.total.mean += data.log_scale;
  report.reconstruction.mean += data.log_scale;

  auto record = core::new_record("likelihood");
  record["run"] = run.record.at("run");
  record["step"] = run.record.at("step");
  if (run.record.contains("origin")) {
    record["origin"] = run.record.at("origin");
  }
  record["trained_on"] = run.record.at("data");
  record.update(key);
  if (const auto resolved = data::resolved_name(data::parse_source(request.data)); resolved != request.data) {
    record["resolved"] = resolved;
  }
  record["objective"] = run.record.at("objective");
  record["process"] = run.record.at("process");
  record.update(result_json(report, run.model.makes_images()));
  record["precision"] =
      fmt::format("{} network, float64 terms", record["network_precision"].get<std::string>());
  record["runtime"] = tensor::runtime_context();
  if (state.makers().size() > 1) {
    record["makers"] = state.makers();
  }
  record["seconds"] = core::seconds_since(start);
  const auto curve = write_curve(request.out, report, record["unit"].get<std::string>());
  core::write_record(request.out / "nll.json", record);
  state.remove();
  draw_curve(request.out, curve);
  return shared_record(record);
}

}  // namespace ddpm_eval::eval
