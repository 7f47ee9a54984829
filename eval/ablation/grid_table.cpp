#include "eval/ablation/grid_table.h"

#include "base/core/build_info.h"
#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/core/record.h"
#include "base/core/statistics.h"
#include "eval/ablation/table_metrics.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

using core::Json;

constexpr double kLevel = 0.05;

/// By seed; nothing where there is no number.
using SeedValues = std::vector<std::optional<double>>;

SeedValues values_of(const std::vector<JobOutcome>& outcomes, const std::string& metric) {
  SeedValues values;
  for (const auto& outcome : outcomes) {
    const bool there = outcome.record.is_object() && outcome.record.contains("metrics") &&
                       core::has_number(outcome.record["metrics"], metric.c_str());
    values.push_back(there ? std::optional(outcome.record["metrics"][metric].get<double>()) : std::nullopt);
  }
  return values;
}

std::vector<double> present(const SeedValues& values) {
  std::vector<double> list;
  for (const auto& value : values) {
    if (value) {
      list.push_back(*value);
    }
  }
  return list;
}

std::vector<double> paired(const SeedValues& values, const SeedValues& baseline) {
  std::vector<double> differences;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] && baseline[i]) {
      differences.push_back(*values[i] - *baseline[i]);
    }
  }
  return differences;
}

/// Whether a job says why it has no number.
bool any_has_problem(const std::vector<JobOutcome>& outcomes, const std::string& metric) {
  return std::ranges::any_of(outcomes, [&](const JobOutcome& outcome) {
    return outcome.record.is_object() && outcome.record.value("problems", Json::object()).contains(metric);
  });
}

Json result_of(const SeedValues& values) {
  Json result;
  result["values"] = Json::array();
  for (const auto& value : values) {
    result["values"].push_back(value ? Json(*value) : Json());
  }
  const auto list = present(values);
  result["count"] = list.size();
  if (!list.empty()) {
    const auto summary = core::mean_and_sd(list);
    result["mean"] = summary.mean;
    result["sd"] = summary.sd;
  }
  return result;
}

/// How a seed's training diverged: what the paper prints a dash for.
Json divergence_of(int64_t seed, const Json& divergence) {
  const std::string reason = divergence.value("reason", "");
  const auto& value = divergence.at(reason == "gradient" ? "grad_norm" : "loss");
  return {{"seed", seed}, {"first_step", divergence.at("first_step")}, {"reason", reason}, {"value", value}};
}

Json cell_json(const Grid& grid, size_t index, const std::vector<JobOutcome>& outcomes) {
  const auto& cell = grid.cells[index];
  Json json = {{"name", cell.name}, {"row", cell.row}, {"column", cell.column}};
  json["settings"] = Json::object();
  for (const auto& setting : cell.settings) {
    json["settings"][setting.key] = core::parse_json(setting.value);
  }
  json["training"] = grid.cells[cell.owner].name;
  const auto definition = core::json_text(grid.definition_of(index));
  json["definition_sha256"] = core::sha256_hex(definition);
  json["published"] = Json::object();
  for (const auto& [metric, value] : cell.published) {
    json["published"][metric] = value;
  }
  json["not_comparable"] = cell.not_comparable;
  json["unstable"] = cell.unstable;
  json["results"] = Json::object();
  for (const char* list : {"diverged", "problems", "failed", "missing"}) {
    json[list] = Json::array();
  }
  for (size_t i = 0; i < outcomes.size(); ++i) {
    const auto& record = outcomes[i].record;
    const int64_t seed = grid.seeds[i];
    if (!record.is_object()) {
      if (outcomes[i].failure.empty()) {
        json["missing"].push_back(seed);
      } else {
        json["failed"].push_back({{"seed", seed}, {"message", outcomes[i].failure}});
      }
    } else if (record.at("outcome") == "diverged") {
      json["diverged"].push_back(divergence_of(seed, record.at("divergence")));
    } else {
      const auto problems = record.value("problems", Json::object());
      for (const auto& [metric, message] : problems.items()) {
        json["problems"].push_back({{"seed", seed}, {"metric", metric}, {"message", message}});
      }
    }
  }
  return json;
}

/// What jobs were scored against and with, which must be one thing.
void require_one_context(const Grid& grid, const std::vector<std::vector<JobOutcome>>& outcomes) {
  const Json* first = nullptr;
  std::string first_name;
  for (size_t cell = 0; cell < outcomes.size(); ++cell) {
    for (size_t i = 0; i < outcomes[cell].size(); ++i) {
      const auto& record = outcomes[cell][i].record;
      if (!record.is_object() || !record.contains("score")) {
        continue;
      }
      const auto name = fmt::format("{}, seed {}", grid.cells[cell].name, grid.seeds[i]);
      if (first == nullptr) {
        first = &record["score"];
        first_name = name;
      }
      for (const auto& [key, value] : record["score"].items()) {
        if (!first->contains(key) || (*first)[key] != value) {
          throw core::NotComparableError(
              "'{}' and '{}' were scored with different {}; remove the record.json of those that are out of "
              "date",
              first_name, name, key);
        }
      }
    }
  }
}

/// Versions, machines and threads that took part, for a note where they are several.
std::vector<std::string> mixtures(const std::vector<std::vector<JobOutcome>>& outcomes) {
  std::set<std::string> makers;
  std::set<std::string> threads;
  std::set<std::string> machines;
  for (const auto& cell : outcomes) {
    for (const auto& outcome : cell) {
      if (outcome.record.is_object()) {
        const auto tool = outcome.record.value("tool", Json::object());
        makers.insert(fmt::format("{} ({})", tool.value("version", "?"), tool.value("commit", "?")));
        const auto runtime = outcome.record.value("runtime", Json::object());
        threads.insert(core::json_text(runtime.value("threads", Json())));
        machines.insert(fmt::format("{} with {} kernels and LibTorch {}{}", runtime.value("device", "?"),
                                    runtime.value("cpu_capability", "?"), runtime.value("libtorch", "?"),
                                    runtime.value("tf32", false) ? ", TF32" : ""));
      }
    }
  }
  std::vector<std::string> notes;
  const auto joined = [](const std::set<std::string>& words) {
    std::string text;
    for (const auto& word : words) {
      text += (text.empty() ? "" : ", ") + word;
    }
    return text;
  };
  if (makers.size() > 1) {
    notes.push_back("Jobs were done by several versions of the program: " + joined(makers) + ".");
  }
  if (threads.size() > 1) {
    notes.push_back("Jobs were done with several numbers of threads, on which last digits depend: " +
                    joined(threads) + ".");
  }
  if (machines.size() > 1) {
    notes.push_back(
        "Jobs were done on several kinds of machines, whose last digits differ: " + joined(machines) + ".");
  }
  return notes;
}

struct Comparison {
  size_t cell;
  std::string metric;
  std::vector<double> differences;
  double p = 1;
};

/// Adds the differences to the baseline and what is said of significance.
void add_comparisons(std::vector<Comparison> comparisons, Json& table) {
  std::vector<double> p_values;
  size_t pairs = 0;
  for (auto& comparison : comparisons) {
    comparison.p = core::sign_flip_p(comparison.differences);
    p_values.push_back(comparison.p);
    pairs = std::max(pairs, comparison.differences.size());
  }
  const auto corrected = core::holm(p_values);
  const auto family = static_cast<double>(comparisons.size());
  const auto reachable = [&](int64_t n) { return std::min(1.0, family * core::smallest_sign_flip_p(n)); };
  bool any = false;
  for (size_t i = 0; i < comparisons.size(); ++i) {
    const auto& differences = comparisons[i].differences;
    const auto summary = core::mean_and_sd(differences);
    const bool stated = reachable(summary.count) < kLevel;
    any = any || stated;
    Json difference = {{"count", summary.count}, {"mean", summary.mean}};
    if (summary.count > 1) {
      difference["error"] = summary.error();
    }
    difference["p"] = p_values[i];
    difference["p_holm"] = corrected[i];
    difference["stated"] = stated;
    difference["significant"] = stated && corrected[i] < kLevel;
    table["cells"][comparisons[i].cell]["results"][comparisons[i].metric]["difference"] =
        std::move(difference);
  }
  int64_t enough = 1;
  while (!comparisons.empty() && reachable(enough) >= kLevel) {
    ++enough;
  }
  table["significance"] = {{"test", "two-sided paired sign-flip test over seeds, exact"},
                           {"correction", "Holm"},
                           {"comparisons", comparisons.size()},
                           {"pairs", pairs},
                           {"smallest_p", reachable(static_cast<int64_t>(pairs))},
                           {"level", kLevel},
                           {"seeds_needed", enough},
                           {"stated", any}};
}

}  // namespace

Json make_grid_table(const Grid& grid, const std::vector<std::vector<JobOutcome>>& outcomes) {
  DDPM_CHECK(outcomes.size() == grid.cells.size(), "{} cells", outcomes.size());
  require_one_context(grid, outcomes);
  Json table = core::new_record("ablation table");
  table.erase("created");
  table["title"] = grid.title;
  table["source"] = grid.source;
  table["seeds"] = grid.seeds;
  table["baseline"] = grid.baseline;
  table["budget"] = Json::parse(core::config_to_json(grid.budget));
  table["stop"] = Json::parse(core::config_to_json(grid.stop));
  table["score"] = Json::parse(core::config_to_json(grid.score));
  table["likelihood"] = Json::parse(core::config_to_json(grid.likelihood));
  table["metrics"] = Json::array();
  table["cells"] = Json::array();
  for (size_t cell = 0; cell < grid.cells.size(); ++cell) {
    table["cells"].push_back(cell_json(grid, cell, outcomes[cell]));
  }
  const auto baseline = static_cast<size_t>(grid.find(grid.baseline) - grid.cells.data());
  std::vector<Comparison> comparisons;
  for (const auto& metric : table_metrics()) {
    const std::string key(metric.key);
    std::vector<SeedValues> values;
    bool any = false;
    for (const auto& cell : outcomes) {
      values.push_back(values_of(cell, key));
      any = any || !present(values.back()).empty() || any_has_problem(cell, key);
    }
    if (!any) {
      continue;
    }
    table["metrics"].push_back(key);
    for (size_t cell = 0; cell < grid.cells.size(); ++cell) {
      table["cells"][cell]["results"][key] = result_of(values[cell]);
      auto differences = paired(values[cell], values[baseline]);
      if (cell != baseline && !differences.empty()) {
        comparisons.push_back({cell, key, std::move(differences)});
      }
    }
  }
  add_comparisons(std::move(comparisons), table);
  for (const auto& cell : outcomes) {
    for (const auto& outcome : cell) {
      if (!table.contains("floor") && outcome.record.is_object() && outcome.record.contains("score") &&
          outcome.record["score"].contains("floor")) {
        table["floor"] = outcome.record["score"]["floor"];
      }
    }
  }
  table["notes"] = mixtures(outcomes);
  return table;
}

}  // namespace ddpm_eval::eval
