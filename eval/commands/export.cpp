#include "base/core/atomic_folder.h"
#include "base/core/digest.h"
#include "base/core/file_io.h"
#include "base/data/safetensors.h"
#include "base/training/checkpoint.h"
#include "ddpm/interchange/diffusers_config.h"
#include "ddpm/interchange/weights.h"
#include "ddpm/model_factory.h"
#include "eval/command.h"
#include "eval/console.h"
#include "eval/distinct_files.h"
#include "eval/output.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

constexpr const char* kWeightsFile = "diffusion_pytorch_model.safetensors";

struct ExportCommand {
  std::filesystem::path run;
  std::filesystem::path out;
  std::string json;
  bool last_weights = false;
};

void run_export(const ExportCommand& command) {
  require_distinct({{"--out", command.out}, {"--json", command.json}},
                   {{"--run", command.run}, {"--run", command.run / training::kCheckpointFile}});
  require_json_target(command.json);
  core::AtomicFolder folder(command.out);
  const auto saved = command.last_weights ? training::load_model_weights(command.run)
                                          : training::load_ema_weights(command.run);
  const auto origin = command.run.string();
  const auto config = ddpm::restore_config(saved.config_json, origin);
  const auto model = ddpm::restore_model(saved, origin);
  const auto texts = ddpm::to_diffusers(config, model.row_shape);
  const auto& parameters = model.network->parameters();
  const auto levels = static_cast<int64_t>(config.model.unet.multipliers.size());
  core::write_file(folder.path() / "config.json", texts.network);
  core::write_file(folder.path() / "scheduler_config.json", texts.scheduler);
  core::write_file(folder.path() / "model_index.json", texts.pipeline);
  // Some of diffusers' readers ask for the format.
  data::write_safetensors(folder.path() / kWeightsFile, ddpm::to_diffusers(parameters, levels),
                          {{"format", "pt"}});

  auto record = core::new_record("export");
  record["run"] = origin;
  record["out"] = command.out.string();
  record["weights"] = command.last_weights ? "last" : "ema";
  record["checkpoint_sha256"] = core::sha256_of_file(command.run / training::kCheckpointFile);
  record["weights_sha256"] = core::sha256_of_file(folder.path() / kWeightsFile);
  record["parameters"] = ddpm::count_elements(parameters);
  record["tensors"] = parameters.size();
  const bool written = write_json(command.json, record);  // if it cannot be, there shall be no folder
  folder.commit();
  if (!written) {
    print_line("{}: {} parameters in {} tensors, for diffusers' UNet2DModel and DDPMPipeline",
               command.out.string(), record["parameters"].get<int64_t>(), parameters.size());
  }
}

}  // namespace

void add_export_command(CLI::App& program, Session& session) {
  auto* command =
      program.add_subcommand("export", "Write a run's averaged weights as a model that diffusers opens");
  auto options = std::make_shared<ExportCommand>();
  command->add_option("--run", options->run, "The training folder")->required();
  command->add_option("--out", options->out, "The folder to write, which must not be there yet")->required();
  command->add_flag("--last-weights", options->last_weights,
                    "The weights of the last step instead of their average");
  add_json_option(*command, options->json);
  command->callback([options, &session] { session.action = [options] { run_export(*options); }; });
}

}  // namespace ddpm_eval::eval
