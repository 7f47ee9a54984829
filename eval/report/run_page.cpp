#include "base/core/error.h"
#include "base/core/record.h"
#include "eval/report/curves.h"
#include "eval/report/page.h"
#include "eval/report/pictures.h"
#include "eval/report/record_parts.h"
#include "eval/report/report.h"
#include "eval/report/score_part.h"
#include "eval/run_files.h"

#include <algorithm>
#include <optional>
#include <system_error>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;
using core::Json;

constexpr size_t kLogRows = 12;  ///< of the table of losses; log.jsonl has them all
constexpr size_t kStepGrids = 6;
constexpr int kLossQuarters = 4;

std::optional<Json> record_if_there(const fs::path& path) {
  return file_exists(path) ? std::optional(core::read_record(path)) : std::nullopt;
}

/// What config.train.steps and its like are, as far as the record has them.
std::string setting_of(const Json& record, std::initializer_list<const char*> keys) {
  const Json* value = &record;
  for (const char* key : keys) {
    if (!value->is_object() || !value->contains(key)) {
      return {};
    }
    value = &(*value)[key];
  }
  return value->is_structured() ? std::string() : shown_value(*value);
}

Facts facts_of_run(const Json& run) {
  const auto setting = [&](std::initializer_list<const char*> keys) { return setting_of(run, keys); };
  const auto steps = setting({"config", "train", "steps"});
  auto trained = setting({"step"});
  if (!trained.empty() && !steps.empty() && steps != trained) {
    trained += " of " + steps;
  }
  const auto count = setting({"data", "count"});
  return {{"Data", setting({"data", "source"}) + (count.empty() ? "" : ", N = " + count)},
          {"Steps", trained},
          {"Batch size", setting({"config", "train", "batch_size"})},
          {"Parameters", setting({"parameters"})},
          {"Network", setting({"config", "model", "kind"})},
          {"Chain", setting({"config", "process", "kind"}) + ", " + setting({"config", "process", "steps"}) +
                        " steps"},
          {"Prediction", setting({"config", "objective", "prediction"})},
          {"Variance", setting({"config", "objective", "variance"})},
          {"Loss", setting({"config", "objective", "loss"})},
          {"Last loss", setting({"loss"})}};
}

/// Evenly spaced lines of the log, the last one among them.
PageTable log_table(const std::vector<Json>& log) {
  PageTable table{"Lines of the log", {}, {}};
  for (const auto& [key, unused] : log.back().items()) {
    table.head.push_back(key);
  }
  const size_t count = std::min(kLogRows, log.size());
  for (size_t i = 0; i < count; ++i) {
    const auto& entry = log[(i + 1) * log.size() / count - 1];
    std::vector<Html> row;
    for (const auto& key : table.head) {
      row.push_back(text_piece(entry.contains(key) ? shown_value(entry[key]) : ""));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

PlotFigure loss_figure(const std::vector<Json>& log) {
  CurvePlot plot{"step", "loss", {{"", thinned(log_curve(log, "loss")), Marks::kLine, Interval::kBand}}};
  if (auto reference = log_curve(log, "loss_published"); !reference.empty()) {
    plot.series[0].label = "this run";
    plot.series.push_back({"published", thinned(reference)});
  }
  plot.log_y = suits_log_axis(plot.series, 0.7);
  const bool band = std::isfinite(plot.series[0].points.empty() ? kNoNumber : plot.series[0].points[0].low);
  return {"Loss",
          band ? "Means of parts of the log, with the least and greatest line of each"
               : "Each line of the log is a mean over the steps since the one before",
          plot};
}

PlotFigure quarters_figure(const std::vector<Json>& log) {
  CurvePlot plot{"step", "loss", {}};
  for (int quarter = 0; quarter < kLossQuarters; ++quarter) {
    auto points = thinned(log_curve(log, fmt::format("loss_q{}", quarter)));
    for (auto& point : points) {
      point.low = point.high = kNoNumber;  // four bands would hide one another
    }
    plot.series.push_back({fmt::format("quarter {} of t", quarter + 1), points});
  }
  plot.log_y = suits_log_axis(plot.series, 0.7);
  return {"Loss by quarters of the chain", "Quarter 1 is the one next to the data", plot};
}

struct ScoreCurve {
  std::optional<PlotFigure> figure;
  std::string text;
};

/// The scores of a training over its steps, lower being better.
ScoreCurve score_curve(const fs::path& path) {
  const auto log = read_log(path);
  const auto points = log_curve(log, "value");
  if (points.empty()) {
    return {std::nullopt, "No score could be had."};
  }
  const auto best = std::min_element(points.begin(), points.end(),
                                     [](const auto& one, const auto& other) { return one.y < other.y; });
  Json context;
  for (const auto& entry : log) {
    context = core::has_number(entry, "value") ? entry : context;
  }
  const auto field = [&](const char* key) {
    return context.contains(key) ? shown_value(context[key]) : std::string("?");
  };
  CurvePlot plot{
      "step", field("metric"), {{"", points, Marks::kLineAndPoints}, {"the best", {*best}, Marks::kPoints}}};
  plot.log_y = suits_log_axis(plot.series);
  return {PlotFigure{"Score", field("metric") + " of the averaged weights", plot},
          fmt::format("{} samples of seed {} against {}, N = {}; the best: {:.5g} at step {:.0f}.",
                      field("count"), field("seed"), field("real"), field("real_count"), best->y, best->x)};
}

/// The lines of a training's log, if there is one.
using Log = std::optional<std::vector<Json>>;

void add_training(const fs::path& folder, const Log& log, Page& page) {
  std::vector<PlotFigure> figures;
  Html words, table;
  if (log) {
    if (log->empty()) {
      words.add(element("p", {}, "The log is empty."));
    } else {
      figures = {loss_figure(*log), quarters_figure(*log)};
      table = details_element("The log in numbers", table_element(log_table(*log)));
      for (const auto& entry : *log) {
        if (entry.contains("event")) {
          words.add(element("p", {{"class", "banner"}},
                            fmt::format("The training {} at step {}: loss {}, gradient norm {}.",
                                        shown_value(entry["event"]), setting_of(entry, {"step"}),
                                        setting_of(entry, {"loss"}), setting_of(entry, {"grad_norm"}))));
        }
      }
    }
  }
  if (file_exists(folder / kScoresFile)) {
    const auto curve = score_curve(folder / kScoresFile);
    if (curve.figure) {
      figures.push_back(*curve.figure);
    }
    words.add(element("p", {}, curve.text));
  }
  words.add(figures_element(page.draw(figures))).add(table);
  page.add("Training", words);
}

/// Of those that the training drew, all from the same x_T, evenly spaced ones.
std::vector<Html> step_grids(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(folder / "grids", error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".png") {
      files.push_back(it->path());
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<Html> figures;
  const size_t count = std::min(kStepGrids, files.size());
  for (size_t i = 0; i < count; ++i) {
    const auto& file = files[(i + 1) * files.size() / count - 1];
    if (const auto url = png_url(file)) {
      const auto name = file.stem().string();
      figures.push_back(image_figure({name, "", "Samples at " + name, *url}));
    }
  }
  return figures;
}

void add_samples(const fs::path& folder, const Json& run, Page& page) {
  std::vector<Html> figures;
  std::vector<PlotFigure> plots;
  if (file_exists(folder / kGridFile)) {
    if (const auto url = png_url(folder / kGridFile)) {
      figures.push_back(image_figure({"Samples", "", "Grid of generated samples", *url}));
    }
  } else if (const auto grid = sample_grid(folder / "samples")) {
    figures.push_back(image_figure({"Samples", fmt::format("The first {}", grid->count),
                                    fmt::format("Grid of {} generated samples", grid->count), grid->url}));
  }
  if (file_exists(folder / "samples.npy")) {
    const auto source = setting_of(run, {"data", "source"});
    const auto behind = source.empty() ? PlanePoints() : points_of_source(source);
    plots.push_back({"Samples", behind.empty() ? "" : "Over points of the training data, in grey",
                     scatter_of(points_of_file(folder / "samples.npy"), behind)});
  }
  Html body = figures_element(figures);
  body.add(figures_element(page.draw(plots), true));
  if (const auto grids = step_grids(folder); !grids.empty()) {
    body.add(element("h3", {}, "While it trained, from the same x_T")).add(figures_element(grids, true));
  }
  page.add("Samples", body);
  page.add("Animations", animations_of(folder, page));
}

void add_files(const fs::path& folder, Page& page) {
  Html links;
  for (const char* name :
       {kRunRecordFile, kImportRecordFile, kScoreFile, kScoresFile, training::kLogFile,
        training::kDivergenceFile, training::kReadableFile, "samples.json", "nll/nll.json"}) {
    if (file_exists(folder / name)) {
      links.add(element("li", {}, page.link({name, folder / name})));
    }
  }
  page.add("Files", links.empty() ? Html() : element("ul", {}, links));
}

/// The last step of the log, if the run's record is of an earlier one: it is written at the end.
std::optional<int64_t> newer_step(const Log& log, const Json& run) {
  if (!log || log->empty() || !core::has_integer(run, "step") || !core::has_integer(log->back(), "step")) {
    return std::nullopt;
  }
  const auto step = log->back()["step"].get<int64_t>();
  return step > run["step"].get<int64_t>() ? std::optional(step) : std::nullopt;
}

}  // namespace

ReportPage run_page(const fs::path& folder, const fs::path& target) {
  Page page("Training run", fs::weakly_canonical(folder).filename().string(), target);
  const auto run = record_if_there(folder / kRunRecordFile);
  const auto import = record_if_there(folder / kImportRecordFile);
  const auto score = record_if_there(folder / kScoreFile);
  const auto divergence = record_if_there(folder / training::kDivergenceFile);
  const auto log_path = folder / training::kLogFile;
  const Log log = file_exists(log_path) ? Log(read_log(log_path)) : std::nullopt;
  if (run) {
    page.introduce(facts_element(facts_of_run(*run)));
    if (const auto step = newer_step(log, *run)) {
      page.introduce(
          element("p", {{"class", "banner"}},
                  fmt::format("The training has gone on since {} was written: step {} when it last "
                              "wrote to its log.",
                              kRunRecordFile, *step)));
    }
  } else if (!import && !divergence && log) {
    page.introduce(element(
        "p", {{"class", "banner"}},
        log->empty() ? std::string("The training has not ended.")
                     : fmt::format("The training has not ended: step {} when it last wrote to its log.",
                                   setting_of(log->back(), {"step"}))));
  }
  if (divergence) {
    page.introduce(
        element("p", {{"class", "banner"}},
                fmt::format("The training diverged: first bad step {}, by its {}.",
                            setting_of(*divergence, {"first_step"}), setting_of(*divergence, {"reason"}))));
  }
  if (score) {
    page.add("Scores", score_part({*score, (folder / kScoreFile).string(), "a score record"}));
  }
  add_samples(folder, run.value_or(Json::object()), page);
  add_training(folder, log, page);
  const auto bound_file = folder / "nll" / "nll.json";
  if (const auto bound = record_if_there(bound_file)) {
    page.add("Likelihood", likelihood_part({*bound, bound_file.string(), "a likelihood record"},
                                           folder / "nll" / "curve.csv", page));
  }
  Html context;
  if (const auto& main = run ? run : score; main) {
    const auto file = folder / (run ? kRunRecordFile : kScoreFile);
    context.add(facts_element(context_facts({*main, file.string(), "a record"})));
  }
  for (const auto& [name, record] :
       {std::pair("run.json", &run), {"import.json", &import}, {"score.json", &score}}) {
    if (*record) {
      context.add(record_element(fmt::format("{} in full", name), **record));
    }
  }
  page.add("Context", context);
  add_files(folder, page);
  return {page.html(), page.lacks_plots()};
}

}  // namespace ddpm_eval::eval
