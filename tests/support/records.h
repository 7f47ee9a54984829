#pragma once

#include "tests/support/program.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::testing {

/// The record of a call with --json -, which must go well; the record must be all that it prints.
inline nlohmann::json record_of(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--json", "-"});
  const auto result = run_program(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const auto record = nlohmann::json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  EXPECT_TRUE(record.is_object()) << result.out;
  return record;
}

}  // namespace ddpm_eval::testing
