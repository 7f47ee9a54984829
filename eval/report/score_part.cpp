#include "eval/report/score_part.h"

#include "eval/report/page.h"
#include "eval/score_record.h"

#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

std::vector<Html> pieces_of(const std::vector<std::string>& texts) {
  std::vector<Html> pieces;
  for (const auto& text : texts) {
    pieces.push_back(text_piece(text));
  }
  return pieces;
}

std::string short_number(std::optional<double> number) {
  return number ? fmt::format("{:.4g}", *number) : std::string("–");
}

std::string count_text(std::optional<int64_t> count) {
  return count ? fmt::format("{}", *count) : std::string("–");
}

Html scores_table(const ScoreRecord& record) {
  PageTable table{"Samples and yardsticks", {"images", "N"}, {}};
  if (record.repeats) {
    table.head.emplace_back("samples");
  }
  for (const auto& key : record.keys) {
    table.head.push_back(score_heading(record, key));
    if (is_kernel_distance(key)) {
      table.head.push_back("× 1000");
    }
  }
  for (size_t set = 0; set < record.sets.size(); ++set) {
    const auto& one = record.sets[set];
    std::vector<std::string> row = {one.role + ": " + one.source, count_text(one.count)};
    if (record.repeats) {
      row.push_back(samples_text(record, set));
    }
    for (const auto& key : record.keys) {
      row.push_back(score_text(record, set, key));
      if (is_kernel_distance(key)) {
        row.push_back(score_text(record, set, key, 1000));
      }
    }
    table.rows.push_back(pieces_of(row));
  }
  return table_element(table);
}

/// What there is an interval of, and why there is none.
std::string absence_of_interval(const ScoreUncertainty& one) {
  if (!one.estimand.empty()) {
    return one.estimand;
  }
  return one.withheld.empty() ? std::string("–") : "withheld: " + one.withheld;
}

/// Standard errors and intervals, each with what it is of.
Html uncertainty_table(const ScoreRecord& record) {
  PageTable table{"How far the scores of the samples may be off",
                  {"score", "standard error", "bias", "interval", "of what", "method"},
                  {},
                  {4, 5}};
  for (const auto& entry : record.uncertainty) {
    const auto& one = entry.second;
    const auto add = [&](const std::string& interval, const std::string& estimand) {
      table.rows.push_back(
          pieces_of({metric_name(entry.first), short_number(one.standard_error), short_number(one.bias),
                     interval, estimand, one.method.empty() ? "–" : one.method}));
    };
    for (const auto* interval : {&one.at_count, &one.at_infinity}) {
      if (*interval) {
        add(fmt::format("{:.4g} %: {} to {}", 100 * one.level, short_number((*interval)->low),
                        short_number((*interval)->high)),
            (*interval)->estimand);
      }
    }
    if (!one.at_count && !one.at_infinity) {
      add("–", absence_of_interval(one));
    } else if (!one.withheld.empty()) {
      add("withheld", one.withheld);
    }
  }
  return table.rows.empty() ? Html() : table_element(table);
}

}  // namespace

Html score_part(const JsonReader& reader) {
  const auto record = read_score(reader);
  Html part = scores_table(record);
  part.add(uncertainty_table(record));
  if (!record.reference.empty()) {
    auto text = fmt::format("Against {}, N = {}.", record.reference,
                            record.reference_count ? count_text(record.reference_count) : "?");
    if (!record.features.empty()) {
      text += fmt::format(" Features: {}.", record.features);
    }
    part.add(element("p", {}, text));
  }
  for (const auto& note : record.notes) {
    part.add(element("p", {{"class", "soft"}}, "Note: " + note));
  }
  return part;
}

}  // namespace ddpm_eval::eval
