#pragma once

#include "base/core/error.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ddpm_eval::core {

/// Walks the fields of a configuration struct. One list of fields per struct drives parsing, `--set`, the
/// echo into records and the check for unknown keys:
///
///   struct TrainConfig {
///     int64_t batch_size = 128;
///     OptimiserConfig adam;
///     void fields(core::ConfigVisitor& v) { v.value("batch_size", batch_size); v.section("adam", adam); }
///   };
class ConfigVisitor {
 public:
  virtual ~ConfigVisitor() = default;
  virtual void value(std::string_view key, bool& field) = 0;
  virtual void value(std::string_view key, int64_t& field) = 0;
  virtual void value(std::string_view key, double& field) = 0;
  virtual void value(std::string_view key, std::string& field) = 0;
  virtual void value(std::string_view key, std::vector<int64_t>& field) = 0;
  /// A word out of a fixed list.
  virtual void choice(std::string_view key, std::string& field, const std::vector<std::string>& words) = 0;

  template <class Section>
  void section(std::string_view key, Section& section) {
    enter(key);
    section.fields(*this);
    leave();
  }

 protected:
  virtual void enter(std::string_view key) = 0;
  virtual void leave() = 0;
};

/// A parsed TOML file with `--set key=value` overrides laid over it. Precedence: the struct's default, then
/// the file, then the overrides. Messages name the origin and the full key.
class ConfigTree {
 public:
  /// Empty: defaults only.
  ConfigTree();
  ~ConfigTree();
  ConfigTree(ConfigTree&&) noexcept;
  ConfigTree& operator=(ConfigTree&&) noexcept;

  /// Throws DataError if the file cannot be read and UsageError with line and column if it is not TOML.
  static ConfigTree from_file(const std::string& path);
  /// The same from text; `origin` stands for the file in messages. Throws UsageError.
  static ConfigTree from_text(std::string_view toml, const std::string& origin);
  /// From what config_to_json() gave, as stored in checkpoints. Throws DataError.
  static ConfigTree from_json(std::string_view json, const std::string& origin);

  /// `assignment` is "section.key=value" with a TOML value; a bare word is taken as a string. Messages on the
  /// key name `origin` ("--steps 5") instead of the file; empty: "--set " and the assignment. Throws
  /// UsageError.
  void set(std::string_view assignment, const std::string& origin = {});

  /// How messages name `key`: as it was set by an override of just this key ("--steps 5"), else whatever set
  /// it and the key ("c.toml: train.steps").
  std::string name_of(const std::string& key) const;
  /// The whole tree as a JSON object, the keys of each table in the file's order: for what is no fixed list
  /// of fields.
  std::string to_json() const;

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

namespace detail {
/// Runs `action`; what it throws for the user to mend becomes what `retell` makes of it.
template <class Action, class Retell>
decltype(auto) retelling(const Action& action, const Retell& retell) {
  try {
    return action();
  } catch (const UsageError& error) {
    throw retell(error);
  } catch (const DataError& error) {
    throw retell(error);
  } catch (const ResourceError& error) {
    throw retell(error);
  }
}

/// Binds `tree` to fields; finish() throws UsageError for keys that no field asked for, with the nearest
/// known key.
class ConfigReader final : public ConfigVisitor {
 public:
  explicit ConfigReader(ConfigTree& tree);
  ~ConfigReader() override;
  void value(std::string_view key, bool& field) override;
  void value(std::string_view key, int64_t& field) override;
  void value(std::string_view key, double& field) override;
  void value(std::string_view key, std::string& field) override;
  void value(std::string_view key, std::vector<int64_t>& field) override;
  void choice(std::string_view key, std::string& field, const std::vector<std::string>& words) override;
  void finish();

 protected:
  void enter(std::string_view key) override;
  void leave() override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Collects the effective values as JSON text.
class ConfigWriter final : public ConfigVisitor {
 public:
  ConfigWriter();
  ~ConfigWriter() override;
  void value(std::string_view key, bool& field) override;
  void value(std::string_view key, int64_t& field) override;
  void value(std::string_view key, double& field) override;
  void value(std::string_view key, std::string& field) override;
  void value(std::string_view key, std::vector<int64_t>& field) override;
  void choice(std::string_view key, std::string& field, const std::vector<std::string>& words) override;
  std::string json() const;

 protected:
  void enter(std::string_view key) override;
  void leave() override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};
}  // namespace detail

/// Fills `config` from `tree`. Throws UsageError for a wrong type, a word outside its list or an unknown key.
template <class Config>
void read_config(ConfigTree& tree, Config& config) {
  detail::ConfigReader reader(tree);
  config.fields(reader);
  reader.finish();
}

/// Runs `action`, which works with what was read from `tree`: where an error of it is about a key, the
/// message names the key as the user gave it.
template <class Action>
decltype(auto) named_as_given(const ConfigTree& tree, const Action& action) {
  return detail::retelling(action, [&]<class Problem>(const Problem& error) {
    return error.key().empty() ? error : Problem("{}: {}", tree.name_of(error.key()), error.problem());
  });
}

/// Runs `action`, which works with the value of `key`: its errors become errors about the key.
template <class Action>
decltype(auto) about_key(const Key& key, const Action& action) {
  return detail::retelling(action, [&]<class Problem>(const Problem& error) {
    return error.key().empty() ? Problem(key, "{}", error.what()) : error;
  });
}

/// The effective configuration as a JSON object, sections nested, in field order.
template <class Config>
std::string config_to_json(Config config) {
  detail::ConfigWriter writer;
  config.fields(writer);
  return writer.json();
}

}  // namespace ddpm_eval::core
