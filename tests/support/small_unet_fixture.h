#pragma once

#include "tests/support/run_fixture.h"

#include <algorithm>
#include <string>
#include <vector>

namespace ddpm_eval::testing {

/// A U-Net with every kind of layer, dropout and attention among them.
inline const std::string kSmallUNet =
    "[data]\nsource = 'gaussian-noise:8x8x3?num=32'\n"
    "[model.unet]\nbase_channels = 8\nmultipliers = [1, 2]\nres_blocks = 1\nattention_resolutions = [4]\n"
    "dropout = 0.1\ngroups = 4\n"
    "[process]\nsteps = 10\n"
    "[train]\nsteps = 8\nbatch_size = 4\nwarmup_steps = 2\nlog_every = 2\ncheckpoint_every = 3\n"
    "grid_every = 4\ngrid_samples = 4\n"
    "[sample]\nsampler = 'ddim'\nsteps = 3\nmicro_batch = 4\n";

/// Trains and samples it.
class SmallUNetFixture : public RunFixture {
 protected:
  SmallUNetFixture() { put_file(dir_ / "c.toml", kSmallUNet); }

  void train(const std::string& run, std::vector<std::string> extra = {}) const {
    std::vector<std::string> arguments = {"train", "--config", path("c.toml"), "--out", path(run)};
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    done(arguments);
  }

  void sample(const std::string& run, const std::string& out, std::vector<std::string> extra = {}) const {
    std::vector<std::string> arguments = {"sample", "--run", path(run), "--out", path(out)};
    if (std::find(extra.begin(), extra.end(), "--num") == extra.end()) {
      extra.insert(extra.end(), {"--num", "6"});
    }
    arguments.insert(arguments.end(), extra.begin(), extra.end());
    done(arguments);
  }
};

}  // namespace ddpm_eval::testing
