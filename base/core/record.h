#pragma once

#include "base/core/json.h"

#include <cstdint>
#include <filesystem>
#include <string>

// A record is one JSON result with its context: a number never travels without what it depends on.
namespace ddpm_eval::core {

/// The version of the records' layout. Readers refuse a newer one.
inline constexpr int64_t kRecordSchema = 1;

/// {"schema", "kind", "tool": {name, version, commit, build_type, compiler}, "created"} to which the caller
/// adds what the number depends on. `created` is UTC, ISO 8601; `$SOURCE_DATE_EPOCH` overrides it for
/// reproducible files.
Json new_record(const std::string& kind);

/// JSON on one line; bytes that are no UTF-8, as file names may hold, become replacement characters.
std::string json_text(const Json& value);

/// Indented JSON with a trailing newline, bytes as json_text(). Non-finite numbers throw LogicError: a record
/// says why a number is missing instead of storing null.
std::string record_text(const Json& record);

/// Writes record_text() atomically. Throws ResourceError.
void write_record(const std::filesystem::path& path, const Json& record);

/// Throws DataError if the file is not JSON, not a record or of a newer schema.
Json read_record(const std::filesystem::path& path);

}  // namespace ddpm_eval::core
