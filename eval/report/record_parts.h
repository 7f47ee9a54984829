#pragma once

#include "eval/json_reader.h"
#include "eval/report/page.h"

#include <filesystem>

// Records of bounds, and what all records have, as parts of pages. What is missing or of another type is a
// DataError that names file and field.
namespace ddpm_eval::eval {

/// The parts of a bound, its curve if `curve` is there, and progressive coding.
Html likelihood_part(const JsonReader& record, const std::filesystem::path& curve, Page& page);

/// What a record says of the program, the machine and the settings that made it.
Facts context_facts(const JsonReader& record);

}  // namespace ddpm_eval::eval
