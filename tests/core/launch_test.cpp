#include "base/core/launch.h"

#include "base/core/error.h"
#include "tests/support/errors.h"

#include <map>
#include <string>

#include <gmock/gmock.h>

namespace ddpm_eval::core {
namespace {

using ::testing::HasSubstr;

using Variables = std::map<std::string, std::string>;

EnvironmentLookup lookup_in(const Variables& variables) {
  return [variables](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::string() : found->second;
  };
}

std::optional<LaunchedProcess> launched(const Variables& variables) {
  return launched_process(lookup_in(variables));
}

std::string refusal(const Variables& variables) {
  return testing::message_of<UsageError>([&] { launched(variables); });
}

TEST(Launch, NobodyOrOneProcessIsAlone) {
  EXPECT_FALSE(launched({}));
  EXPECT_FALSE(launched({{"RANK", "0"}, {"WORLD_SIZE", "1"}}));
  EXPECT_FALSE(launched({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}})) << "the script of a batch job";
}

TEST(Launch, TorchrunTellsAll) {
  const auto process = launched({{"RANK", "5"},
                                 {"WORLD_SIZE", "8"},
                                 {"LOCAL_RANK", "1"},
                                 {"LOCAL_WORLD_SIZE", "4"},
                                 {"MASTER_ADDR", "node1"},
                                 {"MASTER_PORT", "4711"},
                                 {"OMPI_COMM_WORLD_RANK", "0"},
                                 {"OMPI_COMM_WORLD_SIZE", "2"}});
  ASSERT_TRUE(process);
  EXPECT_EQ(process->rank, 5);
  EXPECT_EQ(process->count, 8);
  EXPECT_EQ(process->local_rank, 1);
  EXPECT_EQ(process->local_count, 4);
  EXPECT_TRUE(process->shares_processors);
  EXPECT_EQ(process->address, "node1");
  EXPECT_EQ(process->port, 4711);
}

TEST(Launch, ProcessesThatNeverMeetNeedNoAddress) {
  const Variables variables = {
      {"RANK", "5"}, {"WORLD_SIZE", "8"}, {"LOCAL_RANK", "1"}, {"LOCAL_WORLD_SIZE", "4"}};
  const auto process = launched_ranks(lookup_in(variables));
  ASSERT_TRUE(process);
  EXPECT_EQ(process->rank, 5);
  EXPECT_EQ(process->local_rank, 1);
  EXPECT_EQ(process->local_count, 4);
  EXPECT_EQ(process->address, "");
  EXPECT_THAT(refusal(variables), HasSubstr("MASTER_ADDR: is not set"));
}

TEST(Launch, OpenMpiOnOneMachineNeedsNoAddress) {
  Variables variables = {{"OMPI_COMM_WORLD_RANK", "2"},
                         {"OMPI_COMM_WORLD_SIZE", "3"},
                         {"OMPI_COMM_WORLD_LOCAL_RANK", "2"},
                         {"OMPI_COMM_WORLD_LOCAL_SIZE", "3"}};
  const auto process = launched(variables);
  ASSERT_TRUE(process);
  EXPECT_EQ(process->rank, 2);
  EXPECT_EQ(process->address, "127.0.0.1");
  EXPECT_EQ(process->port, 29500);
  EXPECT_FALSE(process->shares_processors);
  variables["OMPI_COMM_WORLD_LOCAL_SIZE"] = "2";
  EXPECT_THAT(refusal(variables), HasSubstr("MASTER_ADDR: is not set"));
  variables["MASTER_ADDR"] = "head";
  EXPECT_EQ(launched(variables)->address, "head");
}

TEST(Launch, MpichAndIntelMpi) {
  const auto process = launched({{"PMI_RANK", "1"},
                                 {"PMI_SIZE", "2"},
                                 {"MPI_LOCALRANKID", "0"},
                                 {"MPI_LOCALNRANKS", "1"},
                                 {"MASTER_ADDR", "10.0.0.1"},
                                 {"MASTER_PORT", "12"}});
  ASSERT_TRUE(process);
  EXPECT_EQ(process->rank, 1);
  EXPECT_EQ(process->local_rank, 0);
  EXPECT_EQ(process->address, "10.0.0.1");
  EXPECT_EQ(process->port, 12);
}

TEST(Launch, SlurmsStepsMeetOnTheFirstNode) {
  const auto process = launched({{"SLURM_PROCID", "3"},
                                 {"SLURM_STEP_NUM_TASKS", "4"},
                                 {"SLURM_LOCALID", "1"},
                                 {"SLURM_STEP_NODELIST", "gpu[07-08]"},
                                 {"SLURM_JOB_NODELIST", "gpu[01-08]"},
                                 {"SLURM_JOB_ID", "1234567"}});
  ASSERT_TRUE(process);
  EXPECT_EQ(process->rank, 3);
  EXPECT_EQ(process->count, 4);
  EXPECT_EQ(process->local_rank, 1);
  EXPECT_EQ(process->address, "gpu07");
  EXPECT_GE(process->port, 29500);
  EXPECT_LT(process->port, 39500);
}

TEST(Launch, StepsOfAJobHavePortsOfTheirOwn) {
  const auto port = [](const std::string& job, const std::string& step) {
    return launched({{"SLURM_PROCID", "0"},
                     {"SLURM_STEP_NUM_TASKS", "2"},
                     {"SLURM_STEP_NODELIST", "a"},
                     {"SLURM_JOB_ID", job},
                     {"SLURM_STEP_ID", step}})
        ->port;
  };
  EXPECT_EQ(port("77", "0"), port("77", "0"));
  EXPECT_NE(port("77", "0"), port("77", "1"));
  EXPECT_NE(port("77", "0"), port("78", "0"));
}

TEST(Launch, SlurmsOwnPmiIsSlurm) {
  const auto process = launched({{"PMI_RANK", "1"},
                                 {"PMI_SIZE", "2"},
                                 {"SLURM_PROCID", "1"},
                                 {"SLURM_STEP_NUM_TASKS", "2"},
                                 {"SLURM_LOCALID", "1"},
                                 {"SLURM_STEP_NODELIST", "a"}});
  ASSERT_TRUE(process);
  EXPECT_EQ(process->local_rank, 1);
}

TEST(Launch, TorchrunsAgentKeepsItsPort) {
  const auto process = launched({{"RANK", "1"},
                                 {"WORLD_SIZE", "2"},
                                 {"MASTER_ADDR", "a"},
                                 {"MASTER_PORT", "4711"},
                                 {"TORCHELASTIC_USE_AGENT_STORE", "True"}});
  EXPECT_EQ(process->port, 4712);
}

TEST(Launch, TheFirstOfANodeList) {
  EXPECT_EQ(first_of_nodes("login"), "login");
  EXPECT_EQ(first_of_nodes("a,b"), "a");
  EXPECT_EQ(first_of_nodes("gpu[07-09,12],login"), "gpu07");
  EXPECT_EQ(first_of_nodes("gpu[3,5]"), "gpu3");
  EXPECT_EQ(first_of_nodes("gpu[12]"), "gpu12");
  EXPECT_EQ(first_of_nodes("n[1-2]-ib"), "n1-ib");
  EXPECT_EQ(first_of_nodes("rack[3-4]n[07-08],x"), "rack3n07");
  EXPECT_EQ(first_of_nodes("login,gpu[1-2]"), "login");
  EXPECT_EQ(first_of_nodes(""), "");
  EXPECT_EQ(first_of_nodes("gpu["), "gpu");
}

TEST(Launch, WhatIsMissingOrWrongIsNamed) {
  Variables variables = {{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "1"}};
  ASSERT_TRUE(launched(variables));
  for (const auto& [name, value, words] :
       {std::tuple{"RANK", "2", "RANK=2: expected a number from 0 to 1; --procs 1 takes no heed of it"},
        {"RANK", "x", "RANK=x: expected a number"},
        {"RANK", "1x", "RANK=1x: expected a number"},
        {"RANK", "", "RANK: is not set, but WORLD_SIZE is"},
        {"WORLD_SIZE", "0", "WORLD_SIZE=0: expected a number from 1"},
        {"WORLD_SIZE", "", "WORLD_SIZE: is not set, but RANK is"},
        {"MASTER_ADDR", "", "MASTER_ADDR: is not set, but WORLD_SIZE is"},
        {"MASTER_PORT", "0", "MASTER_PORT=0: expected a number from 1 to 65535"},
        {"MASTER_PORT", "99999999999", "MASTER_PORT=99999999999: expected a number"}}) {
    auto wrong = variables;
    wrong[name] = value;
    EXPECT_THAT(refusal(wrong), HasSubstr(words));
  }
}

}  // namespace
}  // namespace ddpm_eval::core
