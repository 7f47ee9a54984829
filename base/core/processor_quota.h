#pragma once

#include <filesystem>

namespace ddpm_eval::core {

/// How many processors' time the control groups of this process allow it, rounded up; 0 if they set no limit.
/// The smallest limit of its own group and those above counts: cpu.max of version 2, cpu.cfs_quota_us over
/// cpu.cfs_period_us of version 1 (Documentation/admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst of
/// Linux). `root` is the folder that has proc and sys, for tests.
int processor_quota(const std::filesystem::path& root = "/");

}  // namespace ddpm_eval::core
