#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ddpm_eval::data {

struct PickleValue;
/// Points into the Pickle that made it.
using PickleRef = const PickleValue*;

/// One node of a pickle read as plain data.
struct PickleValue {
  enum class Kind {
    kNone,
    kBool,        ///< integer: 0 or 1
    kInteger,     ///< integer; if it does not fit 64 bits: text, little-endian two's complement
    kFloat,       ///< real
    kString,      ///< text
    kBytes,       ///< text
    kTuple,       ///< items
    kList,        ///< items
    kDict,        ///< items: key, value, key, value, ... in order; collections.OrderedDict among them
    kGlobal,      ///< text: "module name"
    kCall,        ///< items: what would have been called (a kGlobal), its argument tuple, and then each
                  ///< state that BUILD would have set
    kPersistent,  ///< items: the persistent id
    kMark,        ///< never seen from outside
  };

  Kind kind = Kind::kNone;
  int64_t integer = 0;
  double real = 0;
  std::string_view text;
  std::vector<PickleRef> items;
};

/// Which pickle is read and what it may hold.
struct PickleOptions {
  std::string origin;                                ///< the file, for messages
  std::span<const std::string_view> globals;         ///< "module name" of every global that may occur
  std::string_view what = "state dicts of tensors";  ///< that the reader wants, for messages
  size_t max_values = 2'000'000;                     ///< nodes, memo entries and items on the stack
};

/// Reads one pickle (protocols 2 to 4: the opcodes that state dicts use) into a tree of plain data, and
/// executes nothing: a call is recorded as a node, a global that is not listed is refused where it occurs,
/// the state that BUILD would set on anything but a call is dropped. Memory is bounded by the length of the
/// input and by `max_values`; nodes may be shared and even form cycles, so walk them to a fixed depth.
class Pickle {
 public:
  /// Reads the pickle at the start of `bytes`, which must outlive this object. Throws DataError naming
  /// `options.origin`.
  Pickle(std::span<const char> bytes, const PickleOptions& options);
  Pickle(const Pickle&) = delete;
  Pickle& operator=(const Pickle&) = delete;

  PickleRef root() const { return root_; }
  /// How many bytes the pickle took, STOP included.
  size_t size() const { return size_; }
  /// Every persistent id as a kPersistent node, in order of appearance.
  const std::vector<PickleRef>& persistent() const { return persistent_; }

 private:
  friend class PickleMachine;
  std::deque<PickleValue> values_;
  std::vector<PickleRef> persistent_;
  PickleRef root_ = nullptr;
  size_t size_ = 0;
};

}  // namespace ddpm_eval::data
