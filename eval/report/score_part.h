#pragma once

#include "eval/json_reader.h"
#include "eval/report/html.h"

namespace ddpm_eval::eval {

/// The samples beside their yardsticks and floor, with their standard errors and intervals and what they are
/// measured against. Throws as read_score().
Html score_part(const JsonReader& record);

}  // namespace ddpm_eval::eval
