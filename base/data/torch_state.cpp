#include "base/data/torch_state.h"

#include "base/core/error.h"
#include "base/core/text.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <unordered_set>

#include <torch/types.h>

namespace ddpm_eval::data {
namespace {

using Kind = PickleValue::Kind;

static_assert(std::endian::native == std::endian::little, "storages are copied as little-endian bytes");

constexpr std::string_view kRebuildTensor = "torch._utils _rebuild_tensor";
constexpr std::string_view kRebuildTensorV2 = "torch._utils _rebuild_tensor_v2";
/// LibTorch's own pickle_save wraps containers in this call: the value and the name of its type.
constexpr std::string_view kTypeTag = "torch.jit._pickle restore_type_tag";
constexpr std::string_view kRebuildParameter = "torch._utils _rebuild_parameter";

struct StorageType {
  std::string_view global;
  at::ScalarType dtype;
};

constexpr std::array<StorageType, 10> kStorageTypes = {{{"torch FloatStorage", at::kFloat},
                                                        {"torch DoubleStorage", at::kDouble},
                                                        {"torch HalfStorage", at::kHalf},
                                                        {"torch BFloat16Storage", at::kBFloat16},
                                                        {"torch LongStorage", at::kLong},
                                                        {"torch IntStorage", at::kInt},
                                                        {"torch ShortStorage", at::kShort},
                                                        {"torch CharStorage", at::kChar},
                                                        {"torch ByteStorage", at::kByte},
                                                        {"torch BoolStorage", at::kBool}}};

/// No real tensor comes near; below it no product or sum here overflows.
constexpr int64_t kMaxExtent = int64_t{1} << 48;
constexpr size_t kMaxDims = 64;
constexpr size_t kMaxNameLength = 80;

bool is_plain_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

const char* kind_name(PickleRef value) {
  switch (value->kind) {
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return "a bool";
    case Kind::kInteger:
      return "an integer";
    case Kind::kFloat:
      return "a float";
    case Kind::kString:
      return "a string";
    case Kind::kBytes:
      return "bytes";
    case Kind::kTuple:
      return "a tuple";
    case Kind::kList:
      return "a list";
    case Kind::kDict:
      return "a dict";
    case Kind::kCall:
      return "a tensor";
    default:
      return "something else";
  }
}

bool is_integer(PickleRef value) { return value->kind == Kind::kInteger && value->text.empty(); }

/// A state dict's reader: turns calls of the tensor rebuilders into views of storages.
class StateReader {
 public:
  StateReader(const Storages& storages, const std::string& origin) : storages_(storages), origin_(origin) {}

  tensor::NamedTensors read(PickleRef root) const {
    root = untagged(root);
    if (root->kind != Kind::kDict) {
      throw core::DataError("{}: holds {}, not a state dict", origin_, kind_name(root));
    }
    if (!holds_tensor(root)) {
      root = inner_dict(root);
    }
    tensor::NamedTensors state;
    std::unordered_set<std::string_view> names;
    for (size_t i = 0; i < root->items.size(); i += 2) {
      const auto name = name_of(root->items[i]);
      if (!names.insert(name).second) {
        throw core::DataError("{}: tensor '{}' occurs twice", origin_, name);
      }
      state.push_back({std::string(name), tensor_of(root->items[i + 1], name)});
    }
    return state;
  }

 private:
  template <class... Args>
  [[noreturn]] void fail(std::string_view name, fmt::format_string<Args...> format, Args&&... args) const {
    throw core::DataError("{}: tensor '{}': {}", origin_, name,
                          fmt::format(format, std::forward<Args>(args)...));
  }

  static PickleRef untagged(PickleRef value) {
    const bool tagged =
        value->kind == Kind::kCall && value->items[0]->text == kTypeTag && value->items[1]->items.size() == 2;
    return tagged ? value->items[1]->items[0] : value;
  }

  static bool holds_tensor(PickleRef dict) {
    for (size_t i = 1; i < dict->items.size(); i += 2) {
      if (dict->items[i]->kind == Kind::kCall) {
        return true;
      }
    }
    return false;
  }

  PickleRef inner_dict(PickleRef dict) const {
    for (const std::string_view wanted : {"state_dict", "model"}) {
      for (size_t i = 0; i < dict->items.size(); i += 2) {
        PickleRef key = dict->items[i];
        PickleRef value = dict->items[i + 1];
        if (key->kind == Kind::kString && key->text == wanted && value->kind == Kind::kDict &&
            holds_tensor(value)) {
          return value;
        }
      }
    }
    throw core::DataError("{}: holds no tensors, neither at its top nor under 'state_dict' or 'model'",
                          origin_);
  }

  std::string_view name_of(PickleRef key) const {
    if (key->kind != Kind::kString) {
      throw core::DataError("{}: a key of the state dict is {}, not a string", origin_, kind_name(key));
    }
    if (key->text.size() > kMaxNameLength || !is_plain_ascii(key->text)) {
      throw core::DataError("{}: the tensor name '{}' is too long or not plain text", origin_,
                            core::excerpt(key->text));
    }
    return key->text;
  }

  at::Tensor tensor_of(PickleRef value, std::string_view name) const {
    if (value->kind == Kind::kCall && value->items[0]->text == kRebuildParameter) {
      const auto& arguments = value->items[1]->items;
      if (arguments.size() != 3) {
        fail(name, "a parameter of {} parts instead of 3", arguments.size());
      }
      value = arguments[0];
    }
    if (value->kind != Kind::kCall) {
      throw core::DataError("{}: entry '{}' is {}, not a tensor", origin_, name, kind_name(value));
    }
    const auto callable = value->items[0]->text;
    const auto& arguments = value->items[1]->items;
    const bool v1 = callable == kRebuildTensor && arguments.size() == 4;
    const bool v2 = callable == kRebuildTensorV2 && (arguments.size() == 6 || arguments.size() == 7);
    if (!v1 && !v2) {
      fail(name, "a call of '{}' with {} arguments makes no tensor", callable, arguments.size());
    }
    return view(arguments, name);
  }

  /// arguments: storage, offset, sizes, strides, and more that does not matter here.
  at::Tensor view(const std::vector<PickleRef>& arguments, std::string_view name) const {
    if (arguments[0]->kind != Kind::kPersistent) {
      fail(name, "has no storage");
    }
    const auto& id = arguments[0]->items[0]->items;  // storage_ids() has checked its form
    const auto found = storages_.find(std::string(id[2]->text));
    DDPM_CHECK(found != storages_.end(), "storage {} was not read", id[2]->text);
    const at::Tensor& storage = found->second;
    const auto sizes = extents(arguments[2], name);
    const auto strides = extents(arguments[3], name);
    if (!is_integer(arguments[1]) || arguments[1]->integer < 0 || arguments[1]->integer > storage.numel()) {
      fail(name, "its offset lies outside its storage");
    }
    if (sizes.size() != strides.size()) {
      fail(name, "{} sizes and {} strides", sizes.size(), strides.size());
    }
    const int64_t offset = arguments[1]->integer;
    int64_t elements = 1;
    for (const int64_t size : sizes) {
      if (size != 0 && elements > kMaxExtent / size) {
        fail(name, "its size is beyond all bounds");
      }
      elements *= std::max<int64_t>(size, 1);
    }
    const bool empty = std::find(sizes.begin(), sizes.end(), 0) != sizes.end();
    if (!empty && (elements > storage.numel() || last_element(sizes, strides, offset) >= storage.numel())) {
      fail(name, "its {} elements do not fit into its storage of {}", elements, storage.numel());
    }
    return storage.as_strided(sizes, strides, offset);
  }

  std::vector<int64_t> extents(PickleRef value, std::string_view name) const {
    if (value->kind != Kind::kTuple || value->items.size() > kMaxDims) {
      fail(name, "its shape is not a tuple of at most {} sizes", kMaxDims);
    }
    std::vector<int64_t> result;
    for (PickleRef item : value->items) {
      if (!is_integer(item) || item->integer < 0 || item->integer > kMaxExtent) {
        fail(name, "a size or stride is not a sensible number");
      }
      result.push_back(item->integer);
    }
    return result;
  }

  /// Index of the last element in its storage; kMaxExtent if it is beyond that. No size is 0.
  static int64_t last_element(const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides,
                              int64_t offset) {
    int64_t last = offset;
    for (size_t i = 0; i < sizes.size(); ++i) {
      const int64_t steps = sizes[i] - 1;
      if (steps > 0 && strides[i] > (kMaxExtent - last) / steps) {
        return kMaxExtent;
      }
      last += steps * strides[i];
    }
    return last;
  }

  const Storages& storages_;
  const std::string& origin_;
};

}  // namespace

std::span<const std::string_view> torch_globals() {
  static const auto globals = [] {
    std::vector<std::string_view> all = {"collections OrderedDict", kRebuildTensor, kRebuildTensorV2,
                                         kRebuildParameter, kTypeTag};
    for (const auto& type : kStorageTypes) {
      all.push_back(type.global);
    }
    return all;
  }();
  return globals;
}

std::unordered_map<std::string, StorageId> storage_ids(const Pickle& pickle, const std::string& origin) {
  std::unordered_map<std::string, StorageId> ids;
  for (PickleRef persistent : pickle.persistent()) {
    // ("storage", type, key, device, count) and in the legacy stream a sixth, the view, which no version
    // since 0.4 sets.
    PickleRef id = persistent->items[0];
    if (id->kind == Kind::kTuple && !id->items.empty() && id->items[0]->kind == Kind::kString &&
        id->items[0]->text == "module") {
      throw core::DataError("{}: holds a whole module, not a state dict; save model.state_dict() instead",
                            origin);
    }
    const auto& parts = id->items;
    const bool known = id->kind == Kind::kTuple && (parts.size() == 5 || parts.size() == 6) &&
                       parts[0]->kind == Kind::kString && parts[0]->text == "storage" &&
                       parts[1]->kind == Kind::kGlobal && parts[2]->kind == Kind::kString &&
                       is_integer(parts[4]) && parts[4]->integer >= 0 && parts[4]->integer <= kMaxExtent;
    if (!known) {
      throw core::DataError("{}: a reference to something that is not a storage", origin);
    }
    if (parts.size() == 6 && parts[5]->kind != Kind::kNone) {
      throw core::DataError("{}: views of storages, as PyTorch before 0.4 saved them, are not read", origin);
    }
    const auto type =
        std::find_if(kStorageTypes.begin(), kStorageTypes.end(),
                     [&](const StorageType& candidate) { return candidate.global == parts[1]->text; });
    if (type == kStorageTypes.end()) {
      throw core::DataError("{}: '{}' is not a type of storage", origin, parts[1]->text);
    }
    const StorageId named{std::string(parts[2]->text), type->dtype, parts[4]->integer};
    const auto [place, fresh] = ids.emplace(named.key, named);
    if (!fresh && (place->second.dtype != named.dtype || place->second.count != named.count)) {
      throw core::DataError("{}: storage '{}' is described in two ways", origin, core::excerpt(named.key));
    }
  }
  return ids;
}

at::Tensor make_storage(const StorageId& id, std::span<const char> bytes, const std::string& origin) {
  const auto width = static_cast<int64_t>(c10::elementSize(id.dtype));
  if (static_cast<int64_t>(bytes.size()) != id.count * width) {
    throw core::DataError("{}: storage '{}' has {} bytes where {} are needed", origin, core::excerpt(id.key),
                          bytes.size(), id.count * width);
  }
  if (id.dtype == at::kBool &&
      std::any_of(bytes.begin(), bytes.end(), [](char b) { return b != 0 && b != 1; })) {
    throw core::DataError("{}: storage '{}' has a bool that is neither 0 nor 1", origin,
                          core::excerpt(id.key));
  }
  at::Tensor storage = at::empty({id.count}, at::TensorOptions(id.dtype));
  if (!bytes.empty()) {
    std::memcpy(storage.data_ptr(), bytes.data(), bytes.size());
  }
  return storage;
}

tensor::NamedTensors collect_state(const Pickle& pickle, const Storages& storages,
                                   const std::string& origin) {
  return StateReader(storages, origin).read(pickle.root());
}

}  // namespace ddpm_eval::data
