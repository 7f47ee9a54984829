#include "base/core/error.h"
#include "base/core/record.h"
#include "eval/report/page.h"
#include "eval/report/record_parts.h"
#include "eval/report/report.h"
#include "eval/report/score_part.h"

#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {

ReportPage record_page(const std::filesystem::path& file, const std::filesystem::path& target) {
  const auto record = core::read_record(file);
  const auto kind = record.contains("kind") ? record["kind"] : core::Json();
  const bool is_score = kind == "score";
  if (!is_score && kind != "likelihood") {
    throw core::DataError(
        "{}: is the record of kind {}; a page is made of those of `score` and `nll`, and of the folders of "
        "runs and grids",
        file.string(), core::json_text(kind));
  }
  Page page(is_score ? "Score" : "Likelihood", file.filename().string(), target);
  const JsonReader reader(record, file.string(), is_score ? "a score record" : "a likelihood record");
  if (is_score) {
    page.add("Scores", score_part(reader));
  } else {
    page.add("Likelihood", likelihood_part(reader, file.parent_path() / "curve.csv", page));
  }
  Html context = facts_element(context_facts(reader));
  context.add(element("p", {}, "Record: ", page.link({file.filename().string(), file})));
  context.add(record_element("The record in full", record));
  page.add("Context", context);
  return {page.html(), page.lacks_plots()};
}

}  // namespace ddpm_eval::eval
