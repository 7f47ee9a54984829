#include "base/data/pickle.h"

#include "base/core/error.h"
#include "base/core/text.h"
#include "base/data/pickle_opcodes.h"

#include <bit>
#include <cstring>
#include <unordered_map>

namespace ddpm_eval::data {
namespace {

using Kind = PickleValue::Kind;
using enum PickleOpcode;

constexpr std::string_view kOrderedDict = "collections OrderedDict";

}  // namespace

/// The stack, the memo and the place in the input.
class PickleMachine {
 public:
  PickleMachine(std::span<const char> bytes, const PickleOptions& options, Pickle& pickle)
      : bytes_(bytes), options_(options), pickle_(pickle) {}

  void run() {
    while (true) {
      const auto opcode = number<uint8_t>();
      if (opcode == kStop) {
        break;
      }
      if (!push_scalar(opcode) && !use_memo(opcode) && !build_container(opcode)) {
        step(opcode);
      }
    }
    if (stack_.size() != 1 || stack_.back()->kind == Kind::kMark) {
      fail("ends with {} values instead of one", stack_.size());
    }
    pickle_.root_ = stack_.back();
    pickle_.size_ = at_;
  }

 private:
  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw core::DataError("{}: damaged pickle at byte {}: {}", options_.origin, at_,
                          fmt::format(format, std::forward<Args>(args)...));
  }

  std::string_view take(uint64_t count) {
    if (count > bytes_.size() - at_) {
      fail("{} bytes are needed where {} are left", count, bytes_.size() - at_);
    }
    const std::string_view taken(bytes_.data() + at_, count);
    at_ += count;
    return taken;
  }

  template <class Number>
  Number number() {
    Number value;
    std::memcpy(&value, take(sizeof(Number)).data(), sizeof(Number));
    return value;
  }

  std::string_view line() {
    const auto rest = std::string_view(bytes_.data(), bytes_.size()).substr(at_, 512);
    const auto end = rest.find('\n');
    if (end == std::string_view::npos) {
      fail("a name without an end");
    }
    at_ += end + 1;
    return rest.substr(0, end);
  }

  void check_limit(size_t count) const {
    if (count > options_.max_values) {
      fail("more than {} values; only {} are read", options_.max_values, options_.what);
    }
  }

  void push(PickleValue* value) {
    check_limit(stack_.size());
    stack_.push_back(value);
  }

  PickleValue* push_new(Kind kind) {
    check_limit(pickle_.values_.size());
    PickleValue& value = pickle_.values_.emplace_back();
    value.kind = kind;
    push(&value);
    return &value;
  }

  PickleValue* pop() {
    if (stack_.empty() || stack_.back()->kind == Kind::kMark) {
      fail("the stack has run dry");
    }
    PickleValue* value = stack_.back();
    stack_.pop_back();
    return value;
  }

  PickleValue* pop(Kind kind, const char* name) {
    PickleValue* value = pop();
    if (value->kind != kind) {
      fail("a {} is needed here", name);
    }
    return value;
  }

  PickleValue* top(Kind kind, const char* name) {
    PickleValue* value = pop(kind, name);
    stack_.push_back(value);
    return value;
  }

  /// Takes the items above the topmost mark, and the mark.
  std::vector<PickleRef> pop_to_mark() {
    size_t mark = stack_.size();
    while (mark > 0 && stack_[mark - 1]->kind != Kind::kMark) {
      --mark;
    }
    if (mark == 0) {
      fail("a mark is missing");
    }
    std::vector<PickleRef> items(stack_.begin() + static_cast<ptrdiff_t>(mark), stack_.end());
    stack_.resize(mark - 1);
    return items;
  }

  void push_text(Kind kind, uint64_t count) {
    const auto text = take(count);
    push_new(kind)->text = text;
  }

  // Opcodes, in families. Each returns false for an opcode of another family.

  bool push_scalar(uint8_t opcode) {
    switch (opcode) {
      case kNone:
        push(&none_);
        return true;
      case kNewTrue:
        push(&true_);
        return true;
      case kNewFalse:
        push(&false_);
        return true;
      case kBinInt:
        push_new(Kind::kInteger)->integer = number<int32_t>();
        return true;
      case kBinInt1:
        push_new(Kind::kInteger)->integer = number<uint8_t>();
        return true;
      case kBinInt2:
        push_new(Kind::kInteger)->integer = number<uint16_t>();
        return true;
      case kLong1:
        push_long();
        return true;
      case kBinFloat: {
        const auto bits = __builtin_bswap64(number<uint64_t>());  // the format's one big-endian number
        push_new(Kind::kFloat)->real = std::bit_cast<double>(bits);
        return true;
      }
      case kShortBinUnicode:
      case kShortBinString:  // what Python 2 wrote for text
        push_text(Kind::kString, number<uint8_t>());
        return true;
      case kBinUnicode:
      case kBinString:
        push_text(Kind::kString, number<uint32_t>());
        return true;
      case kBinUnicode8:
        push_text(Kind::kString, number<uint64_t>());
        return true;
      case kShortBinBytes:
        push_text(Kind::kBytes, number<uint8_t>());
        return true;
      case kBinBytes:
        push_text(Kind::kBytes, number<uint32_t>());
        return true;
      case kBinBytes8:
        push_text(Kind::kBytes, number<uint64_t>());
        return true;
      default:
        return false;
    }
  }

  void push_long() {
    const auto text = take(number<uint8_t>());
    PickleValue* value = push_new(Kind::kInteger);
    if (text.size() > sizeof(int64_t)) {
      value->text = text;
      return;
    }
    const bool negative = !text.empty() && (text.back() & 0x80) != 0;
    value->integer = negative ? -1 : 0;
    std::memcpy(&value->integer, text.data(), text.size());
  }

  bool use_memo(uint8_t opcode) {
    switch (opcode) {
      case kBinPut:
        put(number<uint8_t>());
        return true;
      case kLongBinPut:
        put(number<uint32_t>());
        return true;
      case kMemoize:
        put(memo_.size());
        return true;
      case kBinGet:
        get(number<uint8_t>());
        return true;
      case kLongBinGet:
        get(number<uint32_t>());
        return true;
      default:
        return false;
    }
  }

  void put(uint64_t index) {
    PickleValue* value = pop();
    stack_.push_back(value);
    memo_[index] = value;
    check_limit(memo_.size());
  }

  void get(uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) {
      fail("memo {} is used before it is set", index);
    }
    push(found->second);
  }

  bool build_container(uint8_t opcode) {
    switch (opcode) {
      case kMark:
        push(&mark_);
        return true;
      case kEmptyTuple:
        push(&empty_tuple_);
        return true;
      case kEmptyList:
        push_new(Kind::kList);
        return true;
      case kEmptyDict:
        push_new(Kind::kDict);
        return true;
      case kTuple: {
        auto items = pop_to_mark();
        push_new(Kind::kTuple)->items = std::move(items);
        return true;
      }
      case kTuple1:
      case kTuple2:
      case kTuple3: {
        std::vector<PickleRef> items(opcode - kTuple1 + 1U);
        for (size_t i = items.size(); i-- > 0;) {
          items[i] = pop();
        }
        push_new(Kind::kTuple)->items = std::move(items);
        return true;
      }
      case kAppend: {
        PickleRef item = pop();
        top(Kind::kList, "list")->items.push_back(item);
        return true;
      }
      case kAppends:
        extend(pop_to_mark(), Kind::kList, "list");
        return true;
      case kSetItem: {
        PickleRef item = pop();
        PickleRef key = pop();
        extend({key, item}, Kind::kDict, "dict");
        return true;
      }
      case kSetItems: {
        auto items = pop_to_mark();
        if (items.size() % 2 != 0) {
          fail("a key without a value");
        }
        extend(items, Kind::kDict, "dict");
        return true;
      }
      default:
        return false;
    }
  }

  void extend(const std::vector<PickleRef>& items, Kind kind, const char* name) {
    auto& into = top(kind, name)->items;
    into.insert(into.end(), items.begin(), items.end());
  }

  void step(uint8_t opcode) {
    switch (opcode) {
      case kProto:
        if (const auto protocol = number<uint8_t>(); protocol < 2 || protocol > 4) {
          fail("protocol {} is not read; save with torch.save's default", protocol);
        }
        return;
      case kFrame:  // only a hint about buffering
        if (number<uint64_t>() > bytes_.size() - at_) {
          fail("a frame is longer than the file");
        }
        return;
      case kGlobal: {
        const auto module = line();
        push_global(module, line());
        return;
      }
      case kStackGlobal: {
        const auto name = pop(Kind::kString, "name")->text;
        push_global(pop(Kind::kString, "module name")->text, name);
        return;
      }
      case kReduce:
        reduce();
        return;
      case kBuild: {  // state set on a finished object, such as a state dict's _metadata
        PickleRef state = pop();
        PickleValue* object = pop();
        if (object->kind == Kind::kCall) {
          object->items.push_back(state);
        }
        push(object);
        return;
      }
      case kBinPersId: {
        PickleRef id = pop();
        PickleValue* value = push_new(Kind::kPersistent);
        value->items.push_back(id);
        pickle_.persistent_.push_back(value);
        return;
      }
      default:
        fail("opcode {:#04x} is not used by {}", opcode, options_.what);
    }
  }

  void push_global(std::string_view module, std::string_view name) {
    for (const auto& allowed : options_.globals) {
      if (allowed.size() == module.size() + 1 + name.size() && allowed.starts_with(module) &&
          allowed[module.size()] == ' ' && allowed.ends_with(name)) {
        push_new(Kind::kGlobal)->text = allowed;
        return;
      }
    }
    throw core::DataError("{}: refuses to execute global '{}.{}'; only {} are read", options_.origin,
                          core::excerpt(module), core::excerpt(name), options_.what);
  }

  void reduce() {
    PickleRef arguments = pop(Kind::kTuple, "tuple of arguments");
    PickleRef callable = pop();
    if (callable->kind != Kind::kGlobal) {
      fail("a call of something that is not a global");
    }
    if (callable->text == kOrderedDict) {
      if (!arguments->items.empty()) {
        fail("an OrderedDict with arguments");
      }
      push_new(Kind::kDict);
      return;
    }
    push_new(Kind::kCall)->items = {callable, arguments};
  }

  std::span<const char> bytes_;
  const PickleOptions& options_;
  Pickle& pickle_;
  size_t at_ = 0;
  std::vector<PickleValue*> stack_;
  std::unordered_map<uint64_t, PickleValue*> memo_;

  // Constants need no node each: no opcode alters a tuple, None or a bool.
  static inline PickleValue mark_{.kind = Kind::kMark, .text = {}, .items = {}};
  static inline PickleValue none_{.kind = Kind::kNone, .text = {}, .items = {}};
  static inline PickleValue true_{.kind = Kind::kBool, .integer = 1, .text = {}, .items = {}};
  static inline PickleValue false_{.kind = Kind::kBool, .integer = 0, .text = {}, .items = {}};
  static inline PickleValue empty_tuple_{.kind = Kind::kTuple, .text = {}, .items = {}};
};

Pickle::Pickle(std::span<const char> bytes, const PickleOptions& options) {
  PickleMachine(bytes, options, *this).run();
}

}  // namespace ddpm_eval::data
