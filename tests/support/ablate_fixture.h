#pragma once

#include "tests/support/run_fixture.h"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ddpm_eval::testing {

/// The base of grids small enough for a test.
inline const std::string kGridBase =
    "[data]\nsource = 'swiss-roll'\npoints = 500\n[model]\nkind = 'mlp'\n[model.mlp]\nwidth = 8\nlayers = 1\n"
    "[process]\nkind = 'cosine'\nsteps = 10\n[train]\nflip = false\nbatch_size = 8\nwarmup_steps = 0\n"
    "log_every = 5\ncheckpoint_every = 5\n[sample]\nclip = false\nmicro_batch = 50\n";

/// A grid's file up to its cells.
inline std::string grid_head(int steps) {
  return "title = 'Tiny'\nconfig = 'base.toml'\nseeds = 2\nbaseline = 'eps'\nthreads = 1\n[budget]\nsteps "
         "= " +
         std::to_string(steps) +
         "\n[score]\nnum = 60\nreal = 'swiss-roll?num=60&seed=1'\n[likelihood]\ndata = "
         "'swiss-roll?num=20&seed=2'\n";
}

inline const std::string kEpsCell = "[[cells]]\nname = 'eps'\n";
inline const std::string kShortCell = "[[cells]]\nname = 'short'\nset = { sample.steps = 4 }\n";
inline const std::string kMuCell =
    "[[cells]]\nname = 'mu'\nset = { objective.prediction = 'mu', objective.loss = 'bound' }\n";

/// Three cells from two trainings.
inline std::string grid_text(int steps, const std::string& more = {}) {
  return grid_head(steps) + kEpsCell + kShortCell + kMuCell + more;
}

/// `text` with the first `from` replaced, which must be there.
inline std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

/// Calls of `ablate` in a folder with base.toml and grid.toml, a tiny grid of 20 steps.
class AblateFixture : public RunFixture {
 protected:
  AblateFixture() {
    put_file(dir_ / "base.toml", kGridBase);
    put_file(dir_ / "grid.toml", grid_text(20));
  }

  ProgramResult ablate(const std::string& out, std::vector<std::string> extra = {},
                       const ProgramOptions& options = {}, const std::string& grid = "grid.toml") const {
    std::vector<std::string> arguments = {"ablate", "--grid", path(grid), "--out", path(out)};
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    return run_program(arguments, options);
  }

  std::string refusal(const std::string& out, const std::string& grid = "grid.toml", int code = 2) const {
    const auto result = ablate(out, {}, {}, grid);
    EXPECT_EQ(result.exit_code, code) << result.err;
    return error_line(result);
  }

  std::map<std::string, std::string> tables(const std::string& out) const {
    std::map<std::string, std::string> found;
    for (const char* name : {"table.json", "table.md", "table.csv", "table.tex"}) {
      found[name] = bytes_of(dir_ / out / name);
      EXPECT_FALSE(found[name].empty()) << name;
    }
    return found;
  }
};

}  // namespace ddpm_eval::testing
