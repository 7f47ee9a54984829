#include "base/data/npy.h"

#include "base/core/error.h"
#include "base/tensor/shape.h"

#include <array>
#include <charconv>
#include <cstring>
#include <numeric>
#include <optional>

#include <fmt/ranges.h>
#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

using core::DataError;

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr uint32_t kMaxHeaderBytes = 1 << 20;
constexpr size_t kMaxDimensions = 32;  // NumPy's own limit before 2.0

struct Dtype {
  std::string_view text;
  at::ScalarType type;
};
constexpr std::array kDtypes{Dtype{"<f8", at::kDouble}, Dtype{"<f4", at::kFloat}, Dtype{"<i8", at::kLong},
                             Dtype{"<i4", at::kInt},    Dtype{"<f2", at::kHalf},  Dtype{"|u1", at::kByte},
                             Dtype{"|i1", at::kChar},   Dtype{"|b1", at::kBool}};

at::ScalarType dtype_of(std::string_view text, const std::string& origin) {
  for (const auto& dtype : kDtypes) {
    // One byte has no order: "<u1" and ">u1" mean "|u1".
    if (text == dtype.text ||
        (text.size() == 3 && dtype.text[0] == '|' && text.substr(1) == dtype.text.substr(1))) {
      return dtype.type;
    }
  }
  if (text.find('O') != std::string_view::npos) {
    throw DataError("{}: holds Python objects (dtype '{}'), which are never unpickled; save plain arrays",
                    origin, text);
  }
  throw DataError(
      "{}: dtype '{}' is not read; save float64, float32, float16, int64, int32, int8, uint8 or bool in "
      "little-endian order",
      origin, text);
}

/// Reads the one kind of Python literal that a header is: {'descr': '<f8', 'fortran_order': False, 'shape':
/// (2, 3)}.
class HeaderText {
 public:
  HeaderText(std::string_view text, const std::string& origin) : rest_(text), origin_(origin) {}

  bool take(char c) {
    skip_space();
    if (rest_.empty() || rest_.front() != c) {
      return false;
    }
    rest_.remove_prefix(1);
    return true;
  }

  void need(char c) {
    if (!take(c)) {
      fail();
    }
  }

  std::string_view quoted() {
    skip_space();
    const char quote = rest_.empty() ? '\0' : rest_.front();
    const size_t end = quote == '\'' || quote == '"' ? rest_.find(quote, 1) : std::string_view::npos;
    if (end == std::string_view::npos) {
      fail();
    }
    const auto text = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return text;
  }

  bool boolean() {
    skip_space();
    for (const std::string_view word : {"True", "False"}) {
      if (rest_.starts_with(word)) {
        rest_.remove_prefix(word.size());
        return word == "True";
      }
    }
    fail();
  }

  std::vector<int64_t> tuple() {
    std::vector<int64_t> numbers;
    need('(');
    while (!take(')')) {
      skip_space();
      int64_t number = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), number);
      if (error != std::errc() || number < 0 || numbers.size() == kMaxDimensions) {
        fail();
      }
      rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
      take('L');  // Python 2 wrote 10L
      numbers.push_back(number);
      if (!take(',')) {
        need(')');
        break;
      }
    }
    return numbers;
  }

  bool at_end() {
    skip_space();
    return rest_.empty();
  }

  [[noreturn]] void fail() const { throw DataError("{}: damaged .npy header", origin_); }

 private:
  void skip_space() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\n')) {
      rest_.remove_prefix(1);
    }
  }

  std::string_view rest_;
  const std::string& origin_;
};

NpyHeader parse_header(std::string_view text, const std::string& origin) {
  HeaderText in(text, origin);
  NpyHeader header;
  bool has_descr = false, has_order = false, has_shape = false;
  in.need('{');
  while (!in.take('}')) {
    const auto key = in.quoted();
    in.need(':');
    if (key == "descr" && !has_descr) {
      has_descr = true;
      if (in.take('[')) {
        throw DataError("{}: a structured array, where a plain one is needed", origin);
      }
      header.dtype = dtype_of(in.quoted(), origin);
    } else if (key == "fortran_order" && !has_order) {
      has_order = true;
      header.fortran_order = in.boolean();
    } else if (key == "shape" && !has_shape) {
      has_shape = true;
      header.shape = in.tuple();
    } else {
      in.fail();
    }
    if (!in.take(',')) {
      in.need('}');
      break;
    }
  }
  if (!has_descr || !has_order || !has_shape || !in.at_end()) {
    in.fail();
  }
  return header;
}

/// Bytes of the array, or nothing where the product leaves int64.
std::optional<uint64_t> payload_size(const NpyHeader& header) {
  int64_t product = static_cast<int64_t>(c10::elementSize(header.dtype));
  for (const int64_t size : header.shape) {
    if (__builtin_mul_overflow(product, size, &product)) {
      return std::nullopt;
    }
  }
  return static_cast<uint64_t>(product);
}

}  // namespace

NpyHeader read_npy_header(ByteStream& stream) {
  std::array<char, 8> start{};
  if (stream.remaining() < start.size() + 2) {
    throw DataError("{}: is cut short: {} bytes are no .npy array", stream.origin(), stream.remaining());
  }
  stream.read(start.data(), start.size());
  if (std::string_view(start.data(), kMagic.size()) != kMagic) {
    throw DataError("{}: is not a .npy array", stream.origin());
  }
  const int version = static_cast<unsigned char>(start[6]);
  if (version < 1 || version > 3) {
    throw DataError("{}: .npy version {} is not known; 1, 2 and 3 are", stream.origin(), version);
  }
  uint32_t length = 0;
  stream.read(&length, version == 1 ? 2 : 4);
  if (length > kMaxHeaderBytes || length > stream.remaining()) {
    throw DataError("{}: is cut short inside its .npy header", stream.origin());
  }
  std::string text(length, '\0');
  stream.read(text.data(), text.size());
  NpyHeader header = parse_header(text, stream.origin());
  const auto payload = payload_size(header);
  if (!payload || *payload > stream.remaining()) {
    throw DataError("{}: is cut short: an array of shape {} does not fit in the {} bytes that follow",
                    stream.origin(), tensor::describe(header.shape), stream.remaining());
  }
  header.payload_bytes = *payload;
  return header;
}

at::Tensor read_npy(ByteStream& stream) {
  const NpyHeader header = read_npy_header(stream);
  std::vector<int64_t> shape = header.shape;
  if (header.fortran_order) {
    std::reverse(shape.begin(), shape.end());
  }
  at::Tensor tensor = torch::empty(shape, header.dtype);
  stream.read(tensor.data_ptr(), header.payload_bytes);
  if (stream.remaining() != 0) {
    throw DataError("{}: {} bytes too long for its shape {}", stream.origin(), stream.remaining(),
                    tensor::describe(header.shape));
  }
  if (header.dtype == at::kBool) {
    // A bool other than 0 and 1 is undefined behaviour in every kernel.
    tensor = tensor.view(torch::kUInt8).ne(0);
  }
  if (header.fortran_order) {
    std::vector<int64_t> axes(shape.size());
    std::iota(axes.rbegin(), axes.rend(), 0);
    tensor = tensor.permute(axes).contiguous();
  }
  return tensor;
}

at::Tensor parse_npy(std::span<const char> bytes, const std::string& origin) {
  SpanStream stream(bytes, origin);
  return read_npy(stream);
}

std::string npy_header(at::ScalarType dtype, std::span<const int64_t> shape, size_t min_bytes) {
  const auto known =
      std::find_if(kDtypes.begin(), kDtypes.end(), [&](const Dtype& d) { return d.type == dtype; });
  DDPM_CHECK(known != kDtypes.end(), "{} has no .npy dtype here", c10::toString(dtype));
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", known->text,
                                 fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  constexpr size_t kFixedBytes = 10;  // magic, version, length
  const size_t bytes = std::max(kFixedBytes + text.size() + 1, min_bytes);
  const size_t padded = (bytes + 63) / 64 * 64;
  text.append(padded - kFixedBytes - text.size() - 1, ' ');
  text.push_back('\n');
  std::string header(kMagic);
  header.push_back('\1');
  header.push_back('\0');
  header.push_back(static_cast<char>(text.size() & 0xFF));
  header.push_back(static_cast<char>(text.size() >> 8));
  return header + text;
}

std::string to_npy(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.detach().cpu().contiguous();
  std::string bytes = npy_header(plain.scalar_type(), plain.sizes());
  bytes.append(static_cast<const char*>(plain.data_ptr()), plain.nbytes());
  return bytes;
}

}  // namespace ddpm_eval::data
