#pragma once

#include "eval/command.h"

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {

class GridFolder;
struct Failure;
struct GridJob;

/// How often a job is tried that fails for reasons outside of it: resources, a worker killed.
inline constexpr int kOutsideAttempts = 2;

/// Writes failed.json of a job. `attempts` counts this one. Another try may succeed where resources ran out.
void write_failure(const GridFolder& folder, const GridJob& job, const Failure& failure, int attempts);

/// Whether nothing more is to be done for the job: it is done, or has failed for good.
bool is_settled(const GridFolder& folder, const GridJob& job);

/// The process that does jobs of the grid in `folder`, until all are settled: those that nobody else works
/// on, in order. What a job says goes to its log.txt. The process that has started it reads lines on standard
/// output: "job SEED CELL", that which it begins, and "error CODE MESSAGE", why it ends early.
void run_grid_worker(const std::filesystem::path& folder, const Session& session);

}  // namespace ddpm_eval::eval
