#include "eval/show.h"

#include "base/core/config.h"
#include "base/core/error.h"
#include "base/core/interrupt.h"
#include "base/data/points.h"
#include "base/data/source_spec.h"
#include "base/tensor/noise.h"
#include "base/tensor/runtime.h"
#include "eval/console.h"
#include "eval/point_set.h"
#include "eval/training_data.h"

#include <algorithm>

#include <fmt/format.h>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

constexpr int64_t kDefaultImages = 8, kMaxShownPoints = 1'000'000;
constexpr int64_t kImageColumns = 11, kPointColumns = 6, kFrames = 41;
/// Of estimates: the official code keeps so many.
constexpr int64_t kEstimateColumns = 20, kEstimateFrames = 20;
/// From so many points their mean and standard deviation are had.
constexpr int64_t kPointsMeasured = 100'000;

struct Defaults {
  int64_t columns, frames;
};

FilmOptions with_defaults(FilmOptions options, const Defaults& defaults) {
  options.columns = options.columns > 0 ? options.columns : defaults.columns;
  options.frames = options.frames > 0 ? options.frames : defaults.frames;
  return options;
}

int64_t shown_count(int64_t asked, bool images) {
  if (asked < 0 || (!images && asked > kMaxShownPoints)) {
    throw core::UsageError("--num {}: expected a positive number{}", asked,
                           images ? "" : fmt::format(" up to {}", kMaxShownPoints));
  }
  return asked > 0 ? asked : images ? kDefaultImages : kDefaultPoints;
}

/// What is noised, in the data's own units, and how it goes to the network's and back: x = units * scale +
/// shift.
struct ForwardData {
  at::Tensor x_0;  ///< float32 [n, C, H, W] in [-1, 1], or [n, 2]
  std::string name;
  bool images = true;
  at::Tensor shift, scale;  ///< of points
};

ForwardData load_points(const data::SourceSpec& spec, int64_t asked, bool standardise) {
  ForwardData data;
  data.images = false;
  data.name = data::resolved_name(spec);
  const int64_t count = spec.subset.count && asked == 0 ? *spec.subset.count : shown_count(asked, false);
  const auto points = data::make_points(spec.name, spec.subset.first, count, spec.seed);
  data.shift = torch::zeros({2});
  data.scale = torch::ones({2});
  if (standardise) {
    const auto many = data::make_points(spec.name, 0, kPointsMeasured, spec.seed).to(torch::kFloat64);
    data.shift = many.mean(0).to(torch::kFloat32);
    data.scale = many.std(0, /*unbiased=*/false).to(torch::kFloat32);
  }
  data.x_0 = (points - data.shift) / data.scale;
  return data;
}

ForwardData load_images(data::SourceSpec spec, int64_t asked) {
  if (asked != 0) {
    spec.subset.count = shown_count(asked, true);
  } else if (!spec.subset.count) {  // as many as there are of so few
    const auto there = data::open_image_source(spec, {.on_bad_file = data::OnBadFile::kFail})->size();
    spec.subset.count = std::min(kDefaultImages, there.value_or(kDefaultImages));
  }
  ForwardData data;
  data.name = data::resolved_name(spec);
  data.x_0 = ddpm::to_pm1(load_all_images({"--data " + spec.text}, spec).images_u8);
  return data;
}

/// Settings that nothing here depends on are refused.
void require_effect_forward(const std::vector<Setting>& settings, const ddpm::ScheduleConfig& process) {
  const bool has_no_ends = process.kind == "cosine" || process.kind == "jsd";
  for (const auto& [assignment, origin] : settings) {
    const auto key = assignment.substr(0, assignment.find('='));
    const auto name = origin.empty() ? "--set " + assignment : origin;
    if (!key.starts_with("process") && !key.starts_with("data")) {
      throw core::UsageError("{}: has no effect on the forward process; leave it out", name);
    }
    const bool is_end = key == "process.beta_start" || key == "process.beta_end" || key == "process.rescale";
    if ((has_no_ends && is_end) || (process.kind == "const" && key == "process.beta_start")) {
      throw core::UsageError("{}: has no effect on the schedule '{}'; leave it out", name, process.kind);
    }
  }
}

}  // namespace

ddpm::SampleProgress sampling_progress(const Session& session, const std::string& what) {
  const auto progress = console_progress(what, "passes", session.quiet);
  return [progress](int64_t done, int64_t total) {
    if (core::interrupt_requested()) {
      throw core::InterruptedError("interrupted after {} of {} passes; the same command begins anew", done,
                                   total);
    }
    progress(done, total);
  };
}

core::Json pictures_record(const char* shows) {
  auto record = core::new_record("pictures");
  record["shows"] = shows;
  return record;
}

core::Json finished_pictures(core::Json record, const core::Json& film) {
  record["pictures"] = film;
  record["runtime"] = tensor::runtime_context();
  return record;
}

core::Json show_forward(const ForwardRequest& request) {
  require_film_options(request.film);
  auto tree = request.config.empty() ? core::ConfigTree() : core::ConfigTree::from_file(request.config);
  lay_over(tree, request.settings);
  ddpm::RunConfig config;
  core::read_config(tree, config);  // whole, so that slips are told; but only [process] must suit
  require_effect_forward(request.settings, config.process);
  if (request.data.empty() && request.config.empty()) {
    throw core::UsageError("--data is needed, unless --config names a data.source");
  }
  const auto process =
      core::named_as_given(tree, [&] { return ddpm::DiffusionProcess(ddpm::make_betas(config.process)); });
  const auto spec = core::named_as_given(tree, [&] {
    return request.data.empty()
               ? core::about_key({"data.source"}, [&] { return data::parse_source(config.data.source); })
               : data::parse_source(request.data);
  });
  const auto data = spec.kind == data::SourceKind::kPoints
                        ? load_points(spec, request.count, config.data.standardise)
                        : load_images(spec, request.count);
  const double spread = data.images ? data.x_0.std().item<double>() : 1;
  if (const auto warning = ddpm::prior_mismatch(process, spread); !warning.empty()) {
    print_warning(warning);
  }
  const auto options = with_defaults(request.film, {data.images ? kImageColumns : kPointColumns, kFrames});
  require_film_size(options, data.x_0.size(0), data.x_0.sizes().slice(1));
  const auto plan = plan_both_ends(process.steps(), options);
  const auto path = ddpm::forward_path(process, data.x_0, plan.moments, request.seed);
  const Film film{.moments = data.images ? ddpm::to_u8(path) : path * data.scale + data.shift,
                  .levels = plan.moments,
                  .last_level = process.steps()};
  write_film(film, plan, options);
  auto record = pictures_record("forward");
  record["data"] = data.name;
  record["count"] = data.x_0.size(0);
  record["process"] = core::Json::parse(core::config_to_json(config.process));
  record["standardised"] = !data.images && config.data.standardise;
  record["seed"] = request.seed;
  return finished_pictures(std::move(record), film_record(film, plan, options));
}

core::Json show_reverse(const ReverseRequest& request, const Session& session) {
  require_film_options(request.film);
  const auto run = load_run(request.run);
  const auto& model = run.model;
  const bool images = model.makes_images(), states = request.shown == ddpm::Shown::kState;
  const int64_t count = shown_count(request.count, images);
  const Defaults defaults{!images  ? kPointColumns
                          : states ? kImageColumns
                                   : kEstimateColumns,
                          states ? kFrames : kEstimateFrames};
  const auto options = with_defaults(request.film, defaults);
  require_film_size(options, count, model.row_shape);
  const auto part = ddpm::visited_chain(model.process, run.options);
  const auto plan = states ? plan_both_ends(part.steps(), options) : plan_parts(part.steps(), options);
  const auto path = ddpm::trajectory({*model.network, model.process, model.parameterisation}, run.options,
                                     tensor::index_range(0, count), model.row_shape, request.shown,
                                     plan.moments, sampling_progress(session, "sampling"));
  Film film{.moments = images ? ddpm::to_u8(path, run.options.rounding) : path * model.std + model.mean,
            .levels = {},
            .last_level = model.process.steps()};
  for (const int64_t moment : plan.moments) {
    film.levels.push_back(ddpm::level_at(part, moment));
  }
  write_film(film, plan, options);
  auto record = pictures_record(states ? "reverse" : "progressive");
  record.update(run.record);
  record["count"] = count;
  return finished_pictures(std::move(record), film_record(film, plan, options));
}

}  // namespace ddpm_eval::eval
