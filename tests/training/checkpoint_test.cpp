#include "base/training/checkpoint.h"

#include "base/core/digest.h"
#include "base/core/file_io.h"
#include "base/data/safetensors.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_matchers.h"
#include "tests/training/checkpoint_state.h"

#include <gtest/gtest.h>

namespace ddpm_eval::training {
namespace {

using ::testing::AllOf;
using testing::ConvTask;
using ::testing::HasSubstr;
using testing::kCheckpointConfig;
using testing::LinearTask;
using testing::load;
using testing::message_of;
using testing::TempDir;
using testing::TensorEq;
using testing::toy_config;
using testing::trained;

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
  EXPECT_EQ(ema.config_json, kCheckpointConfig);
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
                          .config_json = kCheckpointConfig,
                          .imported_from = R"({"name":"elsewhere"})"};
  save_imported(folder.path(), weights);
  EXPECT_THAT(core::read_text(folder / "checkpoint.json"), HasSubstr("\"name\": \"elsewhere\""));
  const SavedWeights ema = load_ema_weights(folder.path());
  EXPECT_EQ(ema.imported_from, R"({"name":"elsewhere"})");
  EXPECT_EQ(ema.config_json, kCheckpointConfig);
  EXPECT_EQ(ema.buffers.size(), 3U);
  EXPECT_THAT(tensor::find(ema.parameters, "in.weight"),
              TensorEq(tensor::find(task.parameters(), "in.weight").detach()));
  const auto expect_refusal = [&](const auto& action) {
    EXPECT_THAT(
        message_of<core::UsageError>(action),
        AllOf(HasSubstr(kCheckpointFile), HasSubstr("was imported, and has no state of an optimiser")));
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

  auto file = data::read_safetensors(folder / kCheckpointFile);
  file.metadata["origin"] = "{}";
  data::write_safetensors(folder / kCheckpointFile, file.tensors, file.metadata);
  EXPECT_THAT(message_of<core::DataError>([&] { load_ema_weights(folder.path()); }), HasSubstr("digest"));
  file.metadata["origin"] = "somewhere";
  data::write_safetensors(folder / kCheckpointFile, file.tensors, file.metadata);
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
  EXPECT_EQ(run.config_json, kCheckpointConfig);
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
  keep(8, kCheckpointConfig);
  EXPECT_THAT(message(), HasSubstr("step 8 there, and the run is at 7"));
  save_imported(folder.path(), {.averaged = task.parameters(),
                                .last = {},
                                .buffers = task.buffers(),
                                .config_json = kCheckpointConfig,
                                .imported_from = R"({"name":"elsewhere"})"});
  keep_as_best(folder.path());
  EXPECT_THAT(message(), HasSubstr("not imported from the same files"));
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
