#include "base/data/safetensors.h"

#include "base/core/digest.h"
#include "base/core/error.h"
#include "base/core/file_io.h"
#include "base/data/byte_stream.h"
#include "base/tensor/shape.h"

#include <array>
#include <set>

#include <nlohmann/json.hpp>
#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

using core::DataError;
using nlohmann::ordered_json;

constexpr uint64_t kMaxTensorHeaderBytes = 100'000'000;  // the limit of the Rust implementation
constexpr size_t kMaxTensorDimensions = 64;
constexpr auto kMetadata = "__metadata__";

struct TensorDtype {
  const char* text;
  at::ScalarType type;
};
constexpr std::array kTensorDtypes{TensorDtype{"F32", at::kFloat},     TensorDtype{"F64", at::kDouble},
                                   TensorDtype{"I64", at::kLong},      TensorDtype{"I32", at::kInt},
                                   TensorDtype{"U8", at::kByte},       TensorDtype{"F16", at::kHalf},
                                   TensorDtype{"BF16", at::kBFloat16}, TensorDtype{"BOOL", at::kBool}};

/// Where one tensor lies.
struct Entry {
  std::string name;
  at::ScalarType dtype = at::kFloat;
  std::vector<int64_t> shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

/// Parses the header, refusing a name that occurs twice in one object: JSON parsers keep one of the two
/// silently, and not all the same one.
ordered_json parse_header(const std::string& text, const std::string& origin) {
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int, ordered_json::parse_event_t event, ordered_json& value) {
    if (event == ordered_json::parse_event_t::object_start) {
      keys.emplace_back();
    } else if (event == ordered_json::parse_event_t::object_end) {
      keys.pop_back();
    } else if (event == ordered_json::parse_event_t::key &&
               !keys.back().insert(value.get<std::string>()).second) {
      throw DataError("{}: '{}' occurs twice in the header", origin, value.get<std::string>());
    }
    return true;
  };
  ordered_json header = ordered_json::parse(text, watch, /*allow_exceptions=*/false);
  if (!header.is_object()) {
    throw DataError("{}: is not a safetensors file: its header is no JSON object", origin);
  }
  return header;
}

/// A count in JSON that fits in int64 and is not negative.
std::optional<int64_t> as_count(const ordered_json& value) {
  if (!value.is_number_integer()) {
    return std::nullopt;
  }
  if (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
    return std::nullopt;
  }
  const auto count = value.get<int64_t>();
  return count < 0 ? std::nullopt : std::optional(count);
}

Entry parse_entry(const std::string& name, const ordered_json& value, const std::string& origin) {
  const auto fail = [&](std::string_view what) -> DataError {
    return DataError("{}: tensor '{}': {}", origin, name, what);
  };
  if (!value.is_object() || !value.contains("dtype") || !value.contains("shape") ||
      !value.contains("data_offsets") || value.size() != 3) {
    throw fail("its header needs dtype, shape and data_offsets and nothing else");
  }
  Entry entry;
  entry.name = name;
  const auto& dtype = value["dtype"];
  const auto known = std::find_if(kTensorDtypes.begin(), kTensorDtypes.end(),
                                  [&](const TensorDtype& d) { return dtype.is_string() && dtype == d.text; });
  if (known == kTensorDtypes.end()) {
    throw fail("its dtype is not one of F64, F32, F16, BF16, I64, I32, U8 and BOOL");
  }
  entry.dtype = known->type;
  int64_t bytes = static_cast<int64_t>(c10::elementSize(entry.dtype));
  const auto& shape = value["shape"];
  if (!shape.is_array() || shape.size() > kMaxTensorDimensions) {
    throw fail("its shape is not a list of sizes");
  }
  for (const auto& size : shape) {
    const auto count = as_count(size);
    if (!count || __builtin_mul_overflow(bytes, *count, &bytes)) {
      throw fail("its shape is not a list of sizes");
    }
    entry.shape.push_back(*count);
  }
  const auto& offsets = value["data_offsets"];
  const bool pair = offsets.is_array() && offsets.size() == 2;
  const auto begin = pair ? as_count(offsets[0]) : std::nullopt;
  const auto end = pair ? as_count(offsets[1]) : std::nullopt;
  if (!begin || !end || *end < *begin || *end - *begin != bytes) {
    throw fail(fmt::format("its data_offsets do not span the {} bytes of its shape", bytes));
  }
  entry.begin = static_cast<uint64_t>(*begin);
  entry.end = static_cast<uint64_t>(*end);
  return entry;
}

/// Sorts by offset and checks that the tensors fill the buffer exactly.
void check_layout(std::vector<Entry>& entries, uint64_t buffer_bytes, const std::string& origin) {
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t position = 0;
  for (const auto& entry : entries) {
    if (entry.end > buffer_bytes) {
      throw DataError("{}: tensor '{}' ends {} bytes after the end of the file; the file is cut short",
                      origin, entry.name, entry.end - buffer_bytes);
    }
    if (entry.begin != position) {
      throw DataError("{}: tensor '{}' {}", origin, entry.name,
                      entry.begin < position ? "overlaps another" : "has a gap before it");
    }
    position = entry.end;
  }
  if (position != buffer_bytes) {
    throw DataError("{}: {} bytes follow the last tensor", origin, buffer_bytes - position);
  }
}

struct Header {
  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;
};

/// Leaves `file` at the first tensor's bytes.
Header read_header(ByteStream& file) {
  const std::string& origin = file.origin();
  const uint64_t file_bytes = file.remaining();
  uint64_t header_bytes = 0;
  if (file_bytes < sizeof(header_bytes)) {
    throw DataError("{}: {} bytes are no safetensors file", origin, file_bytes);
  }
  file.read(&header_bytes, sizeof(header_bytes));
  if (header_bytes > kMaxTensorHeaderBytes || header_bytes > file.remaining()) {
    throw DataError("{}: is cut short or no safetensors file: a header of {} bytes in a file of {}", origin,
                    header_bytes, file_bytes);
  }
  std::string text(header_bytes, '\0');
  file.read(text.data(), text.size());

  Header header;
  const ordered_json json = parse_header(text, origin);
  for (const auto& [name, value] : json.items()) {
    if (name != kMetadata) {
      header.entries.push_back(parse_entry(name, value, origin));
      continue;
    }
    for (const auto& [key, entry] : value.items()) {
      if (!value.is_object() || !entry.is_string()) {
        throw DataError("{}: __metadata__ must map names to strings", origin);
      }
      header.metadata[key] = entry.get<std::string>();
    }
  }
  return header;
}

std::string header_text(const tensor::NamedTensors& tensors,
                        const std::map<std::string, std::string>& metadata) {
  ordered_json header = ordered_json::object();
  if (!metadata.empty()) {
    header[kMetadata] = metadata;
  }
  uint64_t position = 0;
  for (const auto& [name, tensor] : tensors) {
    const auto known =
        std::find_if(kTensorDtypes.begin(), kTensorDtypes.end(),
                     [type = tensor.scalar_type()](const TensorDtype& d) { return d.type == type; });
    DDPM_CHECK(known != kTensorDtypes.end(), "tensor '{}' is {}", name, tensor::describe(tensor));
    DDPM_CHECK(name != kMetadata && !header.contains(name), "tensor name '{}' cannot be used here", name);
    header[name] = {{"dtype", known->text},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {position, position + tensor.nbytes()}}};
    position += tensor.nbytes();
  }
  // A path in the metadata need not be UTF-8.
  std::string text = header.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  text.append((8 - text.size() % 8) % 8, ' ');
  return text;
}

}  // namespace

SafeTensors read_safetensors(const std::filesystem::path& path) {
  FileStream file(path);
  return read_safetensors(file);
}

std::map<std::string, std::string> read_safetensors_metadata(const std::filesystem::path& path) {
  FileStream file(path);
  return read_header(file).metadata;
}

SafeTensors read_safetensors(ByteStream& file) {
  const std::string& origin = file.origin();
  auto [entries, metadata] = read_header(file);
  check_layout(entries, file.remaining(), origin);
  SafeTensors result{.tensors = {}, .metadata = std::move(metadata)};
  for (const auto& entry : entries) {
    at::Tensor tensor = torch::empty(entry.shape, entry.dtype);
    file.read(tensor.data_ptr(), tensor.nbytes());
    if (entry.dtype == at::kBool) {
      tensor = tensor.view(torch::kUInt8).ne(0);
    }
    result.tensors.push_back({entry.name, tensor});
  }
  return result;
}

void write_safetensors(const std::filesystem::path& target, const tensor::NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const std::string header = header_text(tensors, metadata);
  const uint64_t header_bytes = header.size();
  core::AtomicFile file(target);
  file.write(&header_bytes, sizeof(header_bytes));
  file.write(header);
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor plain = tensor.detach().cpu().contiguous();
    file.write(plain.data_ptr(), plain.nbytes());
  }
  file.commit();
}

std::string content_sha256(const tensor::NamedTensors& tensors, std::span<const std::string> texts) {
  core::Sha256 digest;
  const auto add = [&](const std::string& text) { digest.update(text.c_str(), text.size() + 1); };
  std::for_each(texts.begin(), texts.end(), add);
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor plain = tensor.detach().cpu().contiguous();
    add(name);
    digest.update(plain.data_ptr(), plain.nbytes());
  }
  return digest.finish();
}

}  // namespace ddpm_eval::data
