#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

// Suite records as a nightly run writes them.
namespace ddpm_eval::testing {

using SuiteJson = nlohmann::ordered_json;

/// Times whose median is 10, or `factor` times that.
inline std::vector<double> ten_times(double factor = 1) {
  std::vector<double> values = {10.01, 9.99, 10.03, 9.97, 10.02, 9.98, 10.005, 9.995, 10.015, 9.985};
  for (auto& value : values) {
    value *= factor;
  }
  return values;
}

inline SuiteJson timed(const std::string& name, const std::vector<double>& repetitions,
                       const std::string& kind = "speed", const std::string& better = "lower") {
  return {{"name", name}, {"kind", kind}, {"unit", "ms"}, {"better", better}, {"repetitions", repetitions}};
}

inline SuiteJson quality(const std::string& name, double value, const SuiteJson& tolerance,
                         const std::string& better = "lower") {
  return {{"name", name},     {"kind", "quality"}, {"unit", "FID"},
          {"better", better}, {"value", value},    {"tolerance", tolerance}};
}

inline SuiteJson hashes(const std::string& name, const SuiteJson& values) {
  return {{"name", name}, {"kind", "hash"}, {"hashes", values}};
}

inline SuiteJson suite_json(const std::string& commit, const SuiteJson& series) {
  return {{"schema", 1},
          {"kind", "suite"},
          {"time", "2026-11-26T02:00:00Z"},
          {"commit", commit},
          {"context",
           {{"cpu", "Xeon"},
            {"instruction_set", "AVX512"},
            {"threads", 2},
            {"build", "release"},
            {"compiler", "GNU 12.2.0"},
            {"libtorch", "1.13.1"}}},
          {"series", series}};
}

}  // namespace ddpm_eval::testing
