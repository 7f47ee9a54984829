#include "base/core/record.h"
#include "eval/ablation/grid_results.h"
#include "eval/ablation/grid_table.h"
#include "eval/report/grid_plots.h"
#include "eval/report/page.h"
#include "eval/report/pictures.h"
#include "eval/report/record_parts.h"
#include "eval/report/report.h"
#include "eval/report/table_html.h"

#include <algorithm>
#include <array>
#include <map>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

namespace fs = std::filesystem;
using core::Json;

constexpr size_t kOpenJobs = 24;  ///< beyond it the table of jobs is closed at first

std::string plural(size_t count, const char* noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

/// A job as the page tells of it.
struct JobView {
  GridJob job;
  std::string state;
  std::string detail;
  const Json* record = nullptr;  ///< none if there is no record
};

class GridView {
 public:
  explicit GridView(const fs::path& path) : folder_(GridFolder::open(path)) {
    // States first: a job may end meanwhile, and then has a record for the table and for its own line alike.
    const auto jobs = folder_.jobs();
    std::vector<JobState> states;
    for (const auto& job : jobs) {
      states.push_back(folder_.state(job));
    }
    outcomes_ = collect_outcomes(folder_);
    table_ = make_grid_table(folder_.grid(), outcomes_);
    const auto& seeds = folder_.grid().seeds;
    for (size_t i = 0; i < jobs.size(); ++i) {
      const auto seed = std::find(seeds.begin(), seeds.end(), jobs[i].seed) - seeds.begin();
      jobs_.push_back(view_of_job(jobs[i], states[i], outcomes_[jobs[i].cell][static_cast<size_t>(seed)]));
    }
  }

  const GridFolder& folder() const { return folder_; }
  const Grid& grid() const { return folder_.grid(); }
  const Json& table() const { return table_; }
  const std::vector<JobView>& jobs() const { return jobs_; }

 private:
  JobView view_of_job(const GridJob& job, JobState state, const JobOutcome& outcome) const {
    if (outcome.record.is_object()) {
      return view_of_record(job, outcome.record);
    }
    if (state == JobState::kRunning) {
      return {job, "running", ""};
    }
    if (state == JobState::kFailed) {
      return {job, "failed", outcome.failure};
    }
    return {job, "not run yet", ""};
  }

  static JobView view_of_record(const GridJob& job, const Json& record) {
    if (record.at("outcome") == "diverged") {
      return {job, "diverged", "first bad step " + shown_value(record.at("divergence").at("first_step")),
              &record};
    }
    const auto problems = record.value("problems", Json::object());
    return {job, "done",
            problems.empty() ? std::string() : plural(problems.size(), "number") + " could not be had",
            &record};
  }

  GridFolder folder_;
  std::vector<std::vector<JobOutcome>> outcomes_;
  Json table_;
  std::vector<JobView> jobs_;
};

/// "3 of 6 jobs done, 1 diverged, 2 not run yet."; nothing where all went well.
std::string state_of(const std::vector<JobView>& jobs) {
  std::map<std::string, size_t> counts;
  for (const auto& job : jobs) {
    ++counts[job.state];
  }
  if (counts["done"] == jobs.size()) {
    return {};
  }
  auto text = fmt::format("{} of {} done", counts["done"], plural(jobs.size(), "job"));
  for (const char* state : {"diverged", "running", "failed", "not run yet"}) {
    if (counts[state] > 0) {
      text += fmt::format(", {} {}", counts[state], state);
    }
  }
  return text + ".";
}

/// Why a cell has no samples to show.
std::string absence_of(const GridView& view, size_t cell) {
  for (const auto& job : view.jobs()) {
    if (job.job.cell == cell) {
      return fmt::format("No samples: seed {} {}{}.", job.job.seed, job.state,
                         job.detail.empty() ? "" : ", " + job.detail);
    }
  }
  return {};
}

std::string label_of(const GridCell& cell) { return place_label(cell.row, cell.column); }

Html absent_figure(const std::string& label, const std::string& why) {
  return element("figure", {}, element("figcaption", {}, element("b", {}, label), element("span", {}, why)));
}

void add_image_samples(const GridView& view, Page& page) {
  std::vector<Html> figures;
  int64_t count = 0;
  for (size_t cell = 0; cell < view.grid().cells.size(); ++cell) {
    const auto label = label_of(view.grid().cells[cell]);
    std::optional<SampleGrid> grid;
    int64_t from = 0;
    for (const int64_t seed : view.grid().seeds) {
      if (!grid) {
        grid = sample_grid(view.folder().job_folder({cell, seed}) / "samples");
        from = seed;
      }
    }
    if (grid) {
      count = std::max(count, grid->count);
      figures.push_back(image_figure({label, fmt::format("Seed {}", from),
                                      fmt::format("{} samples of {}", grid->count, label), grid->url}));
    } else {
      figures.push_back(absent_figure(label, absence_of(view, cell)));
    }
  }
  Html body =
      element("p", {}, fmt::format("The first {} samples of each cell, drawn from the same x_T.", count));
  page.add("Samples", count > 0 ? body.add(figures_element(figures, true)) : Html());
}

void add_point_samples(const GridView& view, Page& page) {
  const auto behind = points_of_source(view.grid().score.real);
  std::vector<PlotFigure> plots;
  std::vector<Html> absent;
  for (size_t cell = 0; cell < view.grid().cells.size(); ++cell) {
    const auto label = label_of(view.grid().cells[cell]);
    const auto before = plots.size();
    for (const int64_t seed : view.grid().seeds) {
      const auto file = view.folder().job_folder({cell, seed}) / "samples.npy";
      if (plots.size() == before && file_exists(file)) {
        plots.push_back({label, fmt::format("Seed {}", seed), scatter_of(points_of_file(file), behind)});
      }
    }
    if (plots.size() == before) {
      absent.push_back(absent_figure(label, absence_of(view, cell)));
    }
  }
  if (plots.empty()) {
    return;
  }
  Html body = element("p", {},
                      fmt::format("Samples of each cell, drawn from the same x_T{}.",
                                  behind.empty() ? "" : ", over points of the reference in grey"));
  auto figures = page.draw(plots);
  if (figures.empty()) {
    return;
  }
  figures.insert(figures.end(), absent.begin(), absent.end());
  page.add("Samples", body.add(figures_element(figures, true)));
}

PageTable cells_table(const Grid& grid) {
  PageTable table{"What distinguishes the cells", {"cell", "folder", "settings"}, {}, {1, 2}};
  for (const auto& cell : grid.cells) {
    const auto settings = settings_text(cell);
    table.rows.push_back({text_piece(label_of(cell)), text_piece(cell.name),
                          text_piece(settings.empty() ? "the base" : settings)});
  }
  return table;
}

PageTable jobs_table(const GridView& view, const Page& page) {
  PageTable table{"Every job", {"cell", "seed", "state", "more", "record", "log"}, {}, {2, 3, 4, 5}};
  for (const auto& one : view.jobs()) {
    const auto place = view.folder().job_folder(one.job);
    const auto link = [&](const char* name) {
      return file_exists(place / name) ? page.link({name, place / name}) : text_piece("–");
    };
    table.rows.push_back({text_piece(label_of(view.grid().cells[one.job.cell])),
                          text_piece(fmt::format("{}", one.job.seed)), text_piece(one.state),
                          text_piece(one.detail), link(kJobRecordFile), link(kJobLogFile)});
  }
  return table;
}

/// What the records of all jobs say alike of the program, the machine and the networks. The table's notes
/// tell what took part where they differ.
Facts common_context(const GridView& view) {
  Facts common;
  for (const auto& one : view.jobs()) {
    if (one.record == nullptr) {
      continue;
    }
    Json context = *one.record;
    if (context.contains("score") && context["score"].is_object() && context["score"].contains("features")) {
      context["features"] = context["score"]["features"];
    }
    for (const char* key : {"run", "seed", "created", "seconds"}) {
      context.erase(key);  // of one job by their nature
    }
    const auto file = view.folder().job_folder(one.job) / kJobRecordFile;
    const auto facts = context_facts({context, file.string(), "a job's record"});
    common.resize(facts.size());
    for (size_t i = 0; i < facts.size(); ++i) {
      auto& [name, value] = common[i];
      name = facts[i].first;
      if (value.empty()) {
        value = facts[i].second;
      } else if (!facts[i].second.empty() && value != facts[i].second) {
        value = "several (see the notes)";
      }
    }
  }
  return common;
}

Facts facts_of_grid(const GridView& view) {
  const auto& grid = view.grid();
  std::string seeds;
  for (const int64_t seed : grid.seeds) {
    seeds += fmt::format("{}{}", seeds.empty() ? "" : ", ", seed);
  }
  Facts facts = {
      {"Seeds", seeds},
      {"Baseline", label_of(*grid.find(grid.baseline))},
      {"Steps of each training", fmt::format("{}", grid.budget.steps)},
      {"Samples", fmt::format("{} of each cell and seed, from seed {}", grid.score.num, grid.score.seed)},
      {"Reference", grid.score.real},
      {"Held-out data of the bound", grid.likelihood.data}};
  for (auto& fact : common_context(view)) {
    facts.push_back(std::move(fact));
  }
  return facts;
}

void add_context(const GridView& view, Page& page) {
  Html body = facts_element(facts_of_grid(view));
  body.add(table_element(cells_table(view.grid())));
  Html links;
  for (const char* name : kGridFiles) {
    if (file_exists(view.folder().path() / name)) {
      links.add(element("li", {}, page.link({name, view.folder().path() / name})));
    }
  }
  body.add(element("ul", {}, links)).add(record_element("The table's record in full", view.table()));
  page.add("Context", body);
}

}  // namespace

ReportPage grid_page(const fs::path& path, const fs::path& target) {
  const GridView view(path);
  const auto& grid = view.grid();
  const auto title = grid.title.empty() ? fs::weakly_canonical(path).filename().string() : grid.title;
  Page page("Ablation grid", title, target);
  page.introduce(element("p", {{"class", "lede"}},
                         fmt::format("{}, {}, {} training steps each.", plural(grid.cells.size(), "cell"),
                                     plural(grid.seeds.size(), "seed"), grid.budget.steps)));
  if (const auto state = state_of(view.jobs()); !state.empty()) {
    page.introduce(element("p", {{"class", "banner"}}, state));
  }
  page.add("Results", table_html(view.table()));
  page.add("Scores", figures_element(page.draw(score_figures(view.table()))));
  page.add("Training", figures_element(page.draw(training_figures(view.folder()))));
  if (grid.is_for_points()) {
    add_point_samples(view, page);
  } else {
    add_image_samples(view, page);
  }
  page.add("Animations", animations_of(path, page));
  const auto jobs = table_element(jobs_table(view, page));
  page.add("Jobs", view.jobs().size() > kOpenJobs ? details_element("All jobs", jobs) : jobs);
  add_context(view, page);
  return {page.html(), page.lacks_plots()};
}

}  // namespace ddpm_eval::eval
