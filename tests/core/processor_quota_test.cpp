#include "base/core/processor_quota.h"

#include "tests/support/files.h"
#include "tests/support/temp_dir.h"

#include <gtest/gtest.h>

namespace ddpm_eval::core {
namespace {

class ProcessorQuota : public ::testing::Test {
 protected:
  void put(const std::string& name, const std::string& text) {
    const auto path = root_ / name;
    std::filesystem::create_directories(path.parent_path());
    testing::put_file(path, text);
  }
  int quota() const { return processor_quota(root_.path()); }

  testing::TempDir root_;
};

TEST_F(ProcessorQuota, WithoutGroupsThereIsNone) {
  EXPECT_EQ(quota(), 0);
  put("proc/self/cgroup", "nonsense\n0:\n");
  EXPECT_EQ(quota(), 0);
}

TEST_F(ProcessorQuota, OfVersion2TheSmallestOnTheWayUpCounts) {
  put("proc/self/cgroup", "0::/slice/service\n");
  put("sys/fs/cgroup/slice/service/cpu.max", "max 100000\n");
  EXPECT_EQ(quota(), 0);
  put("sys/fs/cgroup/slice/cpu.max", "250000 100000\n");
  EXPECT_EQ(quota(), 3) << "2.5, rounded up";
  put("sys/fs/cgroup/slice/service/cpu.max", "50000 100000\n");
  EXPECT_EQ(quota(), 1);
  put("sys/fs/cgroup/elsewhere/cpu.max", "1000 100000\n");
  EXPECT_EQ(quota(), 1);
}

TEST_F(ProcessorQuota, InAContainerTheMountIsItsOwnGroup) {
  put("sys/fs/cgroup/cpu.max", "400000 100000\n");
  for (const char* line : {"0::/\n", "0::/docker/0123abc\n", "0::/../outside\n"}) {
    put("proc/self/cgroup", line);
    EXPECT_EQ(quota(), 4) << line;
  }
}

TEST_F(ProcessorQuota, OfVersion1QuotaOverPeriodCounts) {
  put("proc/self/cgroup", "5:memory:/job\n4:cpu,cpuacct:/job/step\n1:name=systemd:/job\n0::/\n");
  put("sys/fs/cgroup/cpu,cpuacct/job/step/cpu.cfs_quota_us", "-1\n");
  put("sys/fs/cgroup/cpu,cpuacct/job/step/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 0);
  put("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "150000\n");
  put("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "50000\n");
  EXPECT_EQ(quota(), 3);
}

}  // namespace
}  // namespace ddpm_eval::core
