#include "base/core/record.h"

#include "base/core/build_info.h"
#include "base/core/error.h"
#include "base/core/file_io.h"

#include <cmath>
#include <cstdlib>
#include <ctime>

#include <nlohmann/json.hpp>

namespace ddpm_eval::core {
namespace {

std::string utc_now() {
  std::time_t now = std::time(nullptr);
  if (const char* epoch = std::getenv("SOURCE_DATE_EPOCH")) {
    now = static_cast<std::time_t>(std::strtoll(epoch, nullptr, 10));
  }
  std::tm parts{};
  gmtime_r(&now, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

void require_finite(const Json& value, const std::string& path) {
  if (value.is_number_float()) {
    DDPM_CHECK(std::isfinite(value.get<double>()), "record field {} is not finite", path);
  } else if (value.is_structured()) {
    for (const auto& [key, child] : value.items()) {
      require_finite(child, path + "/" + key);
    }
  }
}

}  // namespace

Json new_record(const std::string& kind) {
  const auto build = build_info();
  Json record;
  record["schema"] = kRecordSchema;
  record["kind"] = kind;
  record["tool"] = {{"name", "ddpm-eval"},
                    {"version", build.version},
                    {"commit", build.commit},
                    {"build_type", build.build_type},
                    {"compiler", build.compiler}};
  record["created"] = utc_now();
  return record;
}

std::string json_text(const Json& value) {
  return value.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

std::string record_text(const Json& record) {
  require_finite(record, "");
  return record.dump(2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
}

void write_record(const std::filesystem::path& path, const Json& record) {
  write_file(path, record_text(record));
}

Json read_record(const std::filesystem::path& path) {
  const auto text = read_text(path);
  auto record = parse_json(text);
  if (!has_integer(record, "schema")) {
    throw DataError("{}: not a record of ddpm-eval (no JSON object with a schema number)", path.string());
  }
  if (record["schema"].get<int64_t>() > kRecordSchema) {
    throw DataError("{}: written by a newer ddpm-eval (schema {}, this one reads {})", path.string(),
                    record["schema"].get<int64_t>(), kRecordSchema);
  }
  return record;
}

}  // namespace ddpm_eval::core
