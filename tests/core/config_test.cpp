#include "base/core/config.h"

#include "base/core/error.h"
#include "base/core/file_io.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

#include <gmock/gmock.h>

namespace ddpm_eval::core {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;

struct Inner {
  double rate = 0.5;
  std::vector<int64_t> sizes = {1, 2};
  void fields(ConfigVisitor& v) {
    v.value("rate", rate);
    v.value("sizes", sizes);
  }
};

struct Outer {
  int64_t batch_size = 128;
  bool flip = true;
  std::string data = "cifar10:train";
  std::string schedule = "linear";
  Inner inner;
  void fields(ConfigVisitor& v) {
    v.value("batch_size", batch_size);
    v.value("flip", flip);
    v.value("data", data);
    v.choice("schedule", schedule, {"linear", "cosine"});
    v.section("inner", inner);
  }
};

Outer parse(const std::string& toml) {
  auto tree = ConfigTree::from_text(toml, "c.toml");
  Outer outer;
  read_config(tree, outer);
  return outer;
}

std::string refusal(const std::string& toml) {
  return message_of<UsageError>([&] { parse(toml); });
}

TEST(Config, FileOverridesDefaultsAndLeavesTheRest) {
  const auto config = parse("batch_size = 4\nschedule = 'cosine'\n[inner]\nrate = 2\nsizes = [3, 4, 5]\n");
  EXPECT_EQ(config.batch_size, 4);
  EXPECT_EQ(config.schedule, "cosine");
  EXPECT_EQ(config.inner.rate, 2.0);
  EXPECT_THAT(config.inner.sizes, ElementsAre(3, 4, 5));
  EXPECT_TRUE(config.flip);
}

TEST(Config, SetOverridesTheFile) {
  auto tree = ConfigTree::from_text("batch_size = 4\n", "c.toml");
  tree.set("batch_size=8");
  tree.set("inner.rate=1e-3");
  tree.set("schedule=cosine");
  tree.set("inner.sizes=[9]");
  Outer config;
  read_config(tree, config);
  EXPECT_EQ(config.batch_size, 8);
  EXPECT_EQ(config.inner.rate, 1e-3);
  EXPECT_EQ(config.schedule, "cosine");
  EXPECT_THAT(config.inner.sizes, ElementsAre(9));
}

TEST(Config, EchoReadsBackToTheSameValues) {
  auto config = parse("batch_size = 4\n[inner]\nrate = 0.1\n");
  const auto json = config_to_json(config);
  EXPECT_EQ(json, R"({"batch_size":4,"flip":true,"data":"cifar10:train","schedule":"linear",)"
                  R"("inner":{"rate":0.1,"sizes":[1,2]}})");
  auto tree = ConfigTree::from_json(json, "stored");
  Outer again;
  read_config(tree, again);
  EXPECT_EQ(config_to_json(again), json);
}

TEST(Config, UnknownKeysNameTheNearest) {
  EXPECT_EQ(refusal("batchsize = 4\n"), "c.toml: unknown key 'batchsize'; did you mean 'batch_size'?");
  EXPECT_EQ(refusal("[inner]\nrat = 4\n"), "c.toml: unknown key 'inner.rat'; did you mean 'rate'?");
  EXPECT_EQ(refusal("zzzzzzzz = 4\n"), "c.toml: unknown key 'zzzzzzzz'");
}

TEST(Config, WrongTypesNameKeyAndBothTypes) {
  EXPECT_EQ(refusal("batch_size = 'x'\n"), "c.toml: batch_size: expected an integer, found a string");
  EXPECT_EQ(refusal("batch_size = 1.5\n"), "c.toml: batch_size: expected an integer, found a number");
  EXPECT_EQ(refusal("flip = 1\n"), "c.toml: flip: expected true or false, found an integer");
  EXPECT_EQ(refusal("inner = 1\n"), "c.toml: inner: expected a section, found an integer");
  EXPECT_EQ(refusal("[inner]\nsizes = ['a']\n"),
            "c.toml: inner.sizes: expected a list of integers, found a string");
  EXPECT_EQ(refusal("[inner]\nrate = nan\n"), "c.toml: inner.rate: expected a finite number, found nan");
  EXPECT_EQ(refusal("[inner]\nrate = -inf\n"), "c.toml: inner.rate: expected a finite number, found -inf");
}

TEST(Config, WordsOutsideTheListAreRefused) {
  EXPECT_EQ(refusal("schedule = 'cosin'\n"),
            "c.toml: schedule: 'cosin' is not one of linear or cosine; did you mean 'cosine'?");
}

TEST(Config, SyntaxErrorsNameLineAndColumn) {
  EXPECT_THAT(refusal("batch_size = \n"), HasSubstr("c.toml:1:"));
}

/// "a.a.a": `parts` times a.
std::string deep_key(int parts) {
  std::string key = "a";
  for (int i = 1; i < parts; ++i) {
    key += ".a";
  }
  return key;
}

TEST(Config, KeysOfManyPartsAreRefusedBeforeTheyOverflowTheStack) {
  const std::string limit = "a key of more than 16 parts";
  EXPECT_EQ(refusal(deep_key(16) + " = 1\n"), "c.toml: unknown key 'a'");
  EXPECT_EQ(refusal("flip = true\n" + deep_key(17) + " = 1\n"), "c.toml:2: " + limit);
  EXPECT_EQ(refusal(deep_key(100'000) + " = 1\n"), "c.toml:1: " + limit);
  EXPECT_EQ(refusal("\n[" + deep_key(100'000) + "]\n"), "c.toml:2: " + limit);
  EXPECT_EQ(refusal("[[" + deep_key(100'000) + "]]\n"), "c.toml:1: " + limit);
  EXPECT_EQ(refusal("x = {y = [{" + deep_key(100'000) + " = 1}]}\n"), "c.toml:1: " + limit);
  EXPECT_EQ(refusal("x = \"\"\"a\\\"\"\"\"\"\n" + deep_key(100'000) + " = 1\n"), "c.toml:2: " + limit);
  EXPECT_EQ(refusal("x = ['''a'''', {" + deep_key(100'000) + " = 1}]\n"), "c.toml:1: " + limit);
  ConfigTree tree;
  EXPECT_EQ(message_of<UsageError>([&] { tree.set(deep_key(17) + "=1"); }),
            "--set " + deep_key(17) + "=1: " + limit);
  EXPECT_EQ(message_of<UsageError>([&] { tree.set("x={" + deep_key(100'000) + "=1}"); }),
            "--set x={" + deep_key(59) + "...: " + limit);
}

TEST(Config, DotsInStringsAndCommentsAreNoKeys) {
  const std::string dots(1000, '.');
  EXPECT_EQ(parse("# " + dots + "\ndata = '" + dots + "'\n").data, dots);
  EXPECT_EQ(parse("data = \"\\\"" + dots + "\" # " + dots + "\n").data, "\"" + dots);
  EXPECT_EQ(parse("data = \"\"\"\n\"" + dots + "\"\"\"\"\n").data, "\"" + dots + "\"");
  EXPECT_EQ(parse("[inner]\nsizes = [1]\nrate = 0.25\n").inner.rate, 0.25);
}

TEST(Config, MalformedOverridesAreRefused) {
  ConfigTree tree;
  EXPECT_EQ(message_of<UsageError>([&] { tree.set("batch_size"); }), "--set batch_size: expected key=value");
  tree.set("data=mnist:train");
  EXPECT_EQ(message_of<UsageError>([&] { tree.set("data.x=1"); }),
            "--set data.x=1: 'data' is a value, not a section");
  EXPECT_EQ(message_of<UsageError>([&] { tree.set("batch_size=5\nflip=false"); }),
            "--set batch_size=5\\nflip=false: more than one line; repeat the option for each key");
  EXPECT_EQ(
      message_of<UsageError>([&] { tree.set("batch_size=18446744073709551616"); }),
      "--set batch_size=18446744073709551616: '18446744073709551616' is no whole number of at most 64 bits "
      "without leading zeros");
}

TEST(Config, NumbersThatNoDoubleHoldsAreOutOfRange) {
  EXPECT_EQ(refusal("[inner]\nrate = 1e400\n"), "c.toml:2: 1e400 is out of range: numbers go to 1.8e308");
  ConfigTree tree;
  EXPECT_EQ(message_of<UsageError>([&] { tree.set("inner.rate=-1e400"); }),
            "--set inner.rate=-1e400: -1e400 is out of range: numbers go to 1.8e308");
}

TEST(Config, ANulInANameIsPrintedAndCutsNothing) {
  EXPECT_EQ(refusal("\"a\\u0000b\" = 1\n"), "c.toml: unknown key 'a\\x00b'");
}

TEST(Config, MessagesOnAKeyNameWhoSetIt) {
  const auto refused = [](const std::string& assignment, const std::string& origin = {}) {
    auto tree = ConfigTree::from_text("batch_size = 'x'\n", "c.toml");
    Outer config;
    return message_of<UsageError>([&] {
      tree.set(assignment, origin);
      read_config(tree, config);
    });
  };
  EXPECT_EQ(refused("flip=false"), "c.toml: batch_size: expected an integer, found a string");
  EXPECT_EQ(refused("batch_size=y"), "--set batch_size=y: expected an integer, found a string");
  auto tree = ConfigTree::from_text("batch_size = 4\n[inner]\nrate = 2\n", "c.toml");
  Outer config;
  tree.set("inner={rat=1}");
  EXPECT_EQ(message_of<UsageError>([&] { read_config(tree, config); }),
            "--set inner={rat=1}: unknown key 'inner.rat'; did you mean 'rate'?");
  tree.set("inner={rate=1}");
  tree.set("schedule=cosin", "--schedule cosin");
  EXPECT_EQ(message_of<UsageError>([&] { read_config(tree, config); }),
            "--schedule cosin: 'cosin' is not one of linear or cosine; did you mean 'cosine'?");
  tree.set("schedule=cosine");
  tree.set("iner.rate=1");
  EXPECT_EQ(message_of<UsageError>([&] { read_config(tree, config); }),
            "--set iner.rate=1: unknown key 'iner'; did you mean 'inner'?");
}

TEST(Config, AFileWithoutKeysIsRefused) {
  const testing::TempDir dir;
  const auto path = (dir / "c.toml").string();
  write_file(path, "# nothing yet\n\n");
  EXPECT_EQ(message_of<UsageError>([&] { ConfigTree::from_file(path); }),
            path + ": has no keys; start from one of configs/");
}

}  // namespace
}  // namespace ddpm_eval::core
