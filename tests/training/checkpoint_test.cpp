#include "base/training/checkpoint.h"

#include "base/core/digest.h"
#include "base/core/file_io.h"
#include "base/data/safetensors.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"
#include "tests/training/toy_tasks.h"

#include <csignal>
#include <cstring>
#include <limits>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

namespace ddpm_eval::training {
namespace {

using ::testing::AllOf;
using testing::ConvTask;
using ::testing::HasSubstr;
using testing::LinearTask;
using testing::message_of;
using testing::TempDir;
using testing::TensorEq;
using testing::toy_config;

constexpr const char* kFile = "checkpoint.safetensors";
constexpr const char* kConfig = "{\"seed\":1,\"net\":{\"width\":8},\"train\":{\"steps\":7}}";

/// A few steps of the conv task, saved into `folder`.
TrainState trained(ConvTask& task, const std::filesystem::path& folder) {
  TrainState state = new_state(task, toy_config(7));
  run_loop(task, toy_config(7), {}, state);
  save_checkpoint(folder, state, kConfig);
  return state;
}

void load(const std::filesystem::path& folder, TrainState& state, const std::string& config = kConfig) {
  load_checkpoint(folder, config, {.may_change = {"train.steps"}}, state);
}

/// The message of loading what `spoil` makes of a good checkpoint, without the digest that tells any change.
std::string message_after(const std::function<void(data::SafeTensors&)>& spoil) {
  const TempDir folder;
  ConvTask task;
  TrainState state = trained(task, folder.path());
  auto file = data::read_safetensors(folder / kFile);
  file.metadata.erase("content_sha256");
  spoil(file);
  data::write_safetensors(folder / kFile, file.tensors, file.metadata);
  const auto before = state.parameters[0].tensor.detach().clone();
  const auto message = message_of<core::DataError>([&] { load(folder.path(), state); });
  EXPECT_THAT(message, HasSubstr(kFile));
  EXPECT_THAT(state.parameters[0].tensor.detach(), TensorEq(before)) << "changed by a failed load";
  return message;
}

TEST(Checkpoint, RestoresEverything) {
  const TempDir folder;
  ConvTask first;
  const TrainState saved = trained(first, folder.path());
  EXPECT_TRUE(has_checkpoint(folder.path()));

  ConvTask second;
  TrainState loaded = new_state(second, toy_config(7));
  load(folder.path(), loaded);
  EXPECT_EQ(loaded.step, 7);
  EXPECT_EQ(loaded.window.to_json(), saved.window.to_json());
  const auto expect_same = [](const tensor::NamedTensors& a, const tensor::NamedTensors& b) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(a[i].name, b[i].name);
      EXPECT_THAT(a[i].tensor.detach(), TensorEq(b[i].tensor.detach())) << a[i].name;
    }
  };
  expect_same(loaded.parameters, saved.parameters);
  expect_same(loaded.buffers, saved.buffers);
  expect_same(loaded.ema.parameters(), saved.ema.parameters());
  expect_same(loaded.ema.buffers(), saved.ema.buffers());
  expect_same(loaded.adam.state(), saved.adam.state());
  // The task itself is what was loaded into, in its own memory order.
  EXPECT_THAT(second.parameters()[0].tensor.detach(), TensorEq(first.parameters()[0].tensor.detach()));
  EXPECT_TRUE(second.parameters()[0].tensor.is_contiguous(at::MemoryFormat::ChannelsLast));
}

TEST(Checkpoint, EqualStatesGiveEqualBytes) {
  const TempDir one;
  const TempDir two;
  ConvTask a;
  ConvTask b;
  trained(a, one.path());
  trained(b, two.path());
  EXPECT_EQ(testing::checkpoint_bytes(one.path()), testing::checkpoint_bytes(two.path()));
  EXPECT_EQ(core::read_text(one / "checkpoint.json"), core::read_text(two / "checkpoint.json"));
}

TEST(Checkpoint, IsOneFileAndAReadableCopyOfItsMetadata) {
  const TempDir folder;
  ConvTask task;
  trained(task, folder.path());
  const auto text = core::read_text(folder / "checkpoint.json");
  EXPECT_THAT(text,
              AllOf(HasSubstr("\"step\": 7"), HasSubstr("\"width\": 8"), HasSubstr("\"parameters\": 448")));
  std::filesystem::remove(folder / "checkpoint.json");
  TrainState state = new_state(task, toy_config(7));
  load(folder.path(), state);
  EXPECT_EQ(state.step, 7);
}

TEST(Checkpoint, WeightsForSampling) {
  const TempDir folder;
  ConvTask task;
  const TrainState saved = trained(task, folder.path());
  const SavedWeights ema = load_ema_weights(folder.path());
  EXPECT_EQ(ema.step, 7);
  EXPECT_EQ(ema.config_json, kConfig);
  ASSERT_EQ(ema.parameters.size(), 4U);
  ASSERT_EQ(ema.buffers.size(), 3U);
  EXPECT_THAT(tensor::find(ema.parameters, "in.weight"),
              TensorEq(tensor::find(saved.ema.parameters(), "in.weight")));
  const SavedWeights model = load_model_weights(folder.path());
  EXPECT_THAT(tensor::find(model.parameters, "in.weight"),
              TensorEq(tensor::find(saved.parameters, "in.weight").detach()));
  EXPECT_EQ(tensor::find(model.buffers, "norm.batches").item<int64_t>(), 7);
}

TEST(Checkpoint, ImportedWeightsAreSampledAndNotTrainedOn) {
  const TempDir folder;
  ConvTask task;
  TrainState state = new_state(task, toy_config(7));
  ImportedWeights weights{.averaged = task.parameters(),
                          .last = {},
                          .buffers = task.buffers(),
                          .config_json = kConfig,
                          .imported_from = R"({"name":"elsewhere"})"};
  save_imported(folder.path(), weights);
  EXPECT_THAT(core::read_text(folder / "checkpoint.json"), HasSubstr("\"name\": \"elsewhere\""));
  const SavedWeights ema = load_ema_weights(folder.path());
  EXPECT_EQ(ema.imported_from, R"({"name":"elsewhere"})");
  EXPECT_EQ(ema.config_json, kConfig);
  EXPECT_EQ(ema.buffers.size(), 3U);
  EXPECT_THAT(tensor::find(ema.parameters, "in.weight"),
              TensorEq(tensor::find(task.parameters(), "in.weight").detach()));
  const auto expect_refusal = [&](const auto& action) {
    EXPECT_THAT(message_of<core::UsageError>(action),
                AllOf(HasSubstr(kFile), HasSubstr("was imported, and has no state of an optimiser")));
  };
  expect_refusal([&] { load(folder.path(), state); });
  expect_refusal([&] { require_resumable(folder.path()); });
  EXPECT_THAT(message_of<core::DataError>([&] { load_model_weights(folder.path()); }),
              HasSubstr("has the averaged weights alone"));

  weights.last = task.parameters();
  weights.step = 9;
  save_imported(folder.path(), weights);
  EXPECT_EQ(load_model_weights(folder.path()).step, 9);
  EXPECT_EQ(load_model_weights(folder.path()).buffers.size(), 3U);

  auto file = data::read_safetensors(folder / kFile);
  file.metadata["origin"] = "{}";
  data::write_safetensors(folder / kFile, file.tensors, file.metadata);
  EXPECT_THAT(message_of<core::DataError>([&] { load_ema_weights(folder.path()); }), HasSubstr("digest"));
  file.metadata["origin"] = "somewhere";
  data::write_safetensors(folder / kFile, file.tensors, file.metadata);
  EXPECT_THAT(message_of<core::DataError>([&] { load_ema_weights(folder.path()); }),
              HasSubstr("says 'somewhere' for 'origin', which is not JSON"));
}

TEST(Checkpoint, ARunTrainedHereMayBeGoneOnWith) {
  const TempDir folder;
  ConvTask task;
  trained(task, folder.path());
  require_resumable(folder.path());
  EXPECT_EQ(load_ema_weights(folder.path()).imported_from, "");
}

TEST(Checkpoint, MissingFileOrFolder) {
  const TempDir folder;
  LinearTask task;
  TrainState state = new_state(task, toy_config(1));
  EXPECT_FALSE(has_checkpoint(folder.path()));
  EXPECT_FALSE(has_checkpoint(folder / "none"));
  EXPECT_THAT(message_of<core::DataError>([&] { load(folder / "none", state); }), HasSubstr(kFile));
  EXPECT_THAT(message_of<core::DataError>([&] { load_ema_weights(folder.path()); }), HasSubstr(kFile));
}

TEST(Checkpoint, CutAnywhere) {
  const TempDir folder;
  ConvTask task;
  TrainState state = trained(task, folder.path());
  const std::string whole = testing::checkpoint_bytes(folder.path());
  std::vector<size_t> cuts{0, 1, 7, 8, 9, 100, 1000, whole.size() / 2, whole.size() - 4, whole.size() - 1};
  for (size_t cut = 37; cut < whole.size(); cut += whole.size() / 40) {
    cuts.push_back(cut);
  }
  for (const size_t cut : cuts) {
    core::write_file(folder / kFile, whole.substr(0, cut));
    EXPECT_THAT(message_of<core::DataError>([&] { load(folder.path(), state); }), HasSubstr(kFile)) << cut;
  }
  core::write_file(folder / kFile, whole + "x");
  EXPECT_THAT(message_of<core::DataError>([&] { load(folder.path(), state); }), HasSubstr(kFile));
}

TEST(Checkpoint, OneFlippedBitInATensorIsTold) {
  const TempDir folder;
  ConvTask task;
  TrainState state = trained(task, folder.path());
  const std::string whole = testing::checkpoint_bytes(folder.path());
  uint64_t header = 0;
  std::memcpy(&header, whole.data(), sizeof(header));
  const size_t begin = sizeof(header) + header;
  for (size_t at = begin; at < whole.size(); at += (whole.size() - begin) / 50) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    core::write_file(folder / kFile, flipped);
    EXPECT_THAT(message_of<core::DataError>([&] { load(folder.path(), state); }),
                AllOf(HasSubstr(kFile), HasSubstr("do not match their digest")));
    EXPECT_THROW(load_ema_weights(folder.path()), core::DataError);
  }
  core::write_file(folder / kFile, whole);
  auto file = data::read_safetensors(folder / kFile);
  file.metadata["step"] = "6";
  data::write_safetensors(folder / kFile, file.tensors, file.metadata);
  EXPECT_THAT(message_of<core::DataError>([&] { load(folder.path(), state); }), HasSubstr("digest"));
  file.metadata.erase("content_sha256");  // as earlier versions wrote it
  data::write_safetensors(folder / kFile, file.tensors, file.metadata);
  load(folder.path(), state);
  EXPECT_EQ(state.step, 6);
}

TEST(Checkpoint, WeightsThatAreNotFinite) {
  for (const std::string name : {"model.in.weight", "ema.in.weight", "ema_buffer.norm.running_mean"}) {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      EXPECT_THAT(message_after([&](auto& file) { tensor::find(file.tensors, name).view(-1)[0] = bad; }),
                  HasSubstr("tensor '" + name + "' holds NaN or infinity"));
    }
  }
}

TEST(Checkpoint, MissingExtraOrMisshapenTensor) {
  EXPECT_THAT(message_after([](auto& file) { file.tensors.pop_back(); }),
              HasSubstr("'adam.exp_avg_sq.out.weight' is missing"));
  EXPECT_THAT(message_after([](auto& file) {
                file.tensors.push_back({"model.more", torch::ones({2})});
              }),
              HasSubstr("'model.more' is not part"));
  EXPECT_THAT(message_after([](auto& file) {
                file.tensors[0].tensor = torch::ones({8, 3, 3, 1});
              }),
              AllOf(HasSubstr("'model.in.weight'"), HasSubstr("[8, 3, 3, 1]"), HasSubstr("[8, 3, 3, 3]")));
  EXPECT_THAT(
      message_after([](auto& file) { file.tensors[0].tensor = file.tensors[0].tensor.to(torch::kFloat64); }),
      HasSubstr("float64"));
}

TEST(Checkpoint, NewerForeignOrDamagedMetadata) {
  EXPECT_THAT(message_after([](auto& file) { file.metadata["format_version"] = "2"; }),
              HasSubstr("version 2 is newer"));
  EXPECT_THAT(message_after([](auto& file) { file.metadata["format"] = "pt"; }), HasSubstr("'pt'"));
  EXPECT_THAT(message_after([](auto& file) { file.metadata.clear(); }), HasSubstr("not a checkpoint"));
  EXPECT_THAT(message_after([](auto& file) { file.metadata["step"] = "7x"; }), HasSubstr("'7x'"));
  EXPECT_THAT(message_after([](auto& file) { file.metadata["step"] = "-7"; }), HasSubstr("'-7'"));
  EXPECT_THAT(message_after([](auto& file) { file.metadata["log_window"] = "{"; }), HasSubstr("damaged"));
  EXPECT_THAT(message_after([](auto& file) { file.metadata["config"] = "{}"; }), HasSubstr("digest"));
  EXPECT_THAT(message_after([](auto& file) {
                file.metadata["config"] = "{";
                file.metadata["config_sha256"] = core::sha256_hex(std::string_view("{"));
              }),
              HasSubstr("not a JSON object"));
}

TEST(Checkpoint, OtherConfigurationNamesTheFirstKey) {
  const TempDir folder;
  ConvTask task;
  TrainState state = trained(task, folder.path());
  const auto message = [&](const std::string& config) {
    return message_of<core::UsageError>([&] { load(folder.path(), state, config); });
  };
  EXPECT_THAT(message("{\"seed\":2,\"net\":{\"width\":9},\"train\":{\"steps\":7}}"),
              HasSubstr("seed was 1 and is 2 now"));
  EXPECT_THAT(message("{\"seed\":1,\"net\":{\"width\":16},\"train\":{\"steps\":7}}"),
              HasSubstr("net.width was 8 and is 16 now"));
  EXPECT_THAT(message("{\"seed\":1,\"net\":{\"width\":8,\"deep\":true},\"train\":{\"steps\":7}}"),
              HasSubstr("net.deep was not set and is true now"));
  EXPECT_THAT(message("{\"seed\":1,\"train\":{\"steps\":7}}"),
              HasSubstr("net.width was 8 and is not set now"));
  load(folder.path(), state, "{\"seed\":1,\"net\":{\"width\":8},\"train\":{\"steps\":70}}");
  EXPECT_EQ(state.step, 7);
}

TEST(Checkpoint, AKeyThatAnOlderFileLacksCountsAsItsDefault) {
  const TempDir folder;
  ConvTask task;
  TrainState state = trained(task, folder.path());
  const SameRun same{.may_change = {},
                     .defaults_json = R"({"seed":5,"net":{"deep":false},"gates":{"number":2}})"};
  const auto config = [](const std::string& deep, const std::string& gates) {
    return R"({"seed":1,"net":{"width":8,"deep":)" + deep + R"(},"gates":{"number":)" + gates +
           R"(},"train":{"steps":7}})";
  };
  load_checkpoint(folder.path(), config("false", "2"), same, state);
  const auto message = [&](const std::string& now) {
    return message_of<core::UsageError>([&] { load_checkpoint(folder.path(), now, same, state); });
  };
  EXPECT_THAT(message(config("true", "2")), HasSubstr("net.deep was not set and is true now"));
  EXPECT_THAT(message(config("false", "3")), HasSubstr("gates.number was not set and is 3 now"));
  EXPECT_THAT(message(R"({"seed":5,"net":{"width":8},"train":{"steps":7}})"),
              HasSubstr("seed was 1 and is 5 now"))
      << "a default stands in for no key that is there";
}

TEST(Checkpoint, BestWeightsOfAnotherRunAreRefused) {
  const TempDir folder;
  ConvTask task;
  TrainState state = trained(task, folder.path());
  const SameRun same{.may_change = {"train.steps"}};
  const auto run = read_header(folder.path());
  EXPECT_EQ(run.step, 7);
  EXPECT_EQ(run.config_json, kConfig);
  const auto keep = [&](int64_t step, const std::string& config) {
    state.step = step;
    save_checkpoint(folder.path(), state, config);
    keep_as_best(folder.path());
  };
  const auto message = [&] {
    return message_of<core::DataError>([&] { load_best_weights(folder.path(), run, same); });
  };
  keep(5, "{\"seed\":1,\"net\":{\"width\":8},\"train\":{\"steps\":5}}");
  EXPECT_EQ(load_best_weights(folder.path(), run, same).step, 5);
  keep(5, "{\"seed\":2,\"net\":{\"width\":8},\"train\":{\"steps\":7}}");
  EXPECT_THAT(message(), AllOf(HasSubstr("best.safetensors: is of another run"),
                               HasSubstr("seed is 2 there and 1 here")));
  keep(8, kConfig);
  EXPECT_THAT(message(), HasSubstr("step 8 there, and the run is at 7"));
  save_imported(folder.path(), {.averaged = task.parameters(),
                                .last = {},
                                .buffers = task.buffers(),
                                .config_json = kConfig,
                                .imported_from = R"({"name":"elsewhere"})"});
  keep_as_best(folder.path());
  EXPECT_THAT(message(), HasSubstr("not imported from the same files"));
}

/// No file may grow beyond `bytes` while this lives: how a full disk looks to a writer.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  void (*handler_)(int);
  rlimit before_{};
};

TEST(Checkpoint, AFullDiskLeavesTheOldOneWhole) {
  const TempDir folder;
  ConvTask task;
  TrainState state = trained(task, folder.path());
  const std::string before = testing::checkpoint_bytes(folder.path());
  state.step = 8;
  const auto message = message_of<core::ResourceError>([&] {
    const FileSizeLimit full(before.size() / 2);
    save_checkpoint(folder.path(), state, kConfig);
  });
  EXPECT_THAT(message, HasSubstr(kFile));
  EXPECT_EQ(testing::checkpoint_bytes(folder.path()), before);
  int files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    ++files;
  }
  EXPECT_EQ(files, 2) << "a partial file was left";
}

TEST(Checkpoint, SomethingInTheWay) {
  const TempDir folder;
  LinearTask task;
  const TrainState state = new_state(task, toy_config(1));
  core::write_file(folder / "file", "in the way");
  EXPECT_THAT(message_of<core::ResourceError>([&] { save_checkpoint(folder / "file", state, kConfig); }),
              HasSubstr((folder / "file").string()));
  std::filesystem::create_directories(folder / "run" / kFile);
  EXPECT_THAT(message_of<core::ResourceError>([&] { save_checkpoint(folder / "run", state, kConfig); }),
              HasSubstr(kFile));
}

TEST(Checkpoint, WhatIsNoFileIsNotTakenForNothing) {
  const TempDir folder;
  namespace fs = std::filesystem;
  fs::create_directories(folder / "folder" / kFile);
  for (const char* name : {"pipe", "loop", "dangling", "device"}) {
    fs::create_directories(folder / name);
  }
  ASSERT_EQ(::mkfifo((folder / "pipe" / kFile).c_str(), 0600), 0);
  fs::create_symlink(kFile, folder / "loop" / kFile);
  fs::create_symlink("nowhere", folder / "dangling" / kFile);
  fs::create_symlink("/dev/null", folder / "device" / kFile);
  for (const char* name : {"folder", "pipe", "loop", "dangling", "device"}) {
    EXPECT_TRUE(has_checkpoint(folder / name)) << name;
    EXPECT_THAT(message_of<core::DataError>([&] { load_model_weights(folder / name); }),
                HasSubstr((folder / name / kFile).string()));
  }
}

TEST(Checkpoint, LeftoversOfKilledProcessesGo) {
  const TempDir folder;
  core::write_file(folder / "checkpoint.safetensors.tmp-123-0", "half");
  core::write_file(folder / "config.toml", "kept");
  EXPECT_FALSE(has_checkpoint(folder.path()));
  core::remove_abandoned_files(folder.path());
  EXPECT_FALSE(std::filesystem::exists(folder / "checkpoint.safetensors.tmp-123-0"));
  EXPECT_TRUE(std::filesystem::exists(folder / "config.toml"));
}

TEST(Checkpoint, StateNeedsDistinctTrainableLeaves) {
  struct Twice : LinearTask {
    tensor::NamedTensors parameters() override {
      auto all = LinearTask::parameters();
      all.push_back(all[0]);
      return all;
    }
  } twice;
  EXPECT_THROW(new_state(twice, toy_config(1)), core::LogicError);
  struct Frozen : LinearTask {
    tensor::NamedTensors parameters() override { return {{"w", torch::ones({1})}}; }
  } frozen;
  EXPECT_THROW(new_state(frozen, toy_config(1)), core::LogicError);
}

}  // namespace
}  // namespace ddpm_eval::training
