#include "base/core/atomic_folder.h"
#include "base/core/config.h"
#include "base/training/checkpoint.h"
#include "ddpm/model_factory.h"
#include "eval/command.h"
#include "eval/console.h"
#include "eval/distinct_files.h"
#include "eval/foreign_model.h"
#include "eval/output.h"
#include "eval/run_files.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <torch/types.h>

namespace ddpm_eval::eval {
namespace {

struct ImportCommand {
  ImportRequest request;
  std::filesystem::path out;
  std::string json;
};

/// All that is read of the model: its file, or the files of its folder and of the folders in that.
std::vector<FlagFile> model_files(const ImportRequest& request) {
  std::vector<FlagFile> files = {
      {"the source", request.source}, {"--scheduler", request.scheduler}, {"--config", request.config}};
  std::error_code ignored;
  for (const auto& folder : {request.source, request.source / "unet", request.source / "scheduler"}) {
    for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
      files.push_back({"the source", entry.path()});
    }
  }
  return files;
}

void run_import(const ImportCommand& command) {
  const auto& request = command.request;
  require_distinct({{"--out", command.out / training::kCheckpointFile}, {"--json", command.json}},
                   model_files(request));
  require_outside({"--out", command.out}, {"the source", request.source});
  require_no_model_in({"--out", std::filesystem::absolute(command.out).lexically_normal().parent_path()});
  require_json_target(command.json);
  core::AtomicFolder folder(command.out);
  const auto model = read_foreign_model(request);
  for (const auto& note : model.weights.notes) {
    print_note(note);
  }
  const training::ImportedWeights weights{
      .averaged = model.weights.averaged,
      .last = model.weights.last,
      .buffers = {{"data.shape", torch::tensor(model.row_shape, torch::kInt64)}},
      .step = model.weights.step,
      .config_json = core::config_to_json(model.config),
      .imported_from = core::json_text(model.origin)};
  training::save_imported(folder.path(), weights);
  auto record = core::new_record("import");
  record["run"] = command.out.string();
  record["origin"] = model.origin;
  record["parameters"] = ddpm::count_elements(weights.averaged);
  record["tensors"] = weights.averaged.size();
  record["row_shape"] = model.row_shape;
  record["config"] = core::Json::parse(weights.config_json);
  core::write_record(folder.path() / kImportRecordFile, record);
  const bool written = write_json(command.json, record);  // if it cannot be, there shall be no folder
  folder.commit();
  if (!written) {
    print_line("{}: {} parameters in {} tensors, for images of {} x {} x {}", command.out.string(),
               record["parameters"].get<int64_t>(), weights.averaged.size(), model.row_shape[2],
               model.row_shape[1], model.row_shape[0]);
  }
}

}  // namespace

void add_import_command(CLI::App& program, Session& session) {
  auto* command = program.add_subcommand(
      "import", "Make a run of a model of diffusers, or of weights of the official DDPM code");
  auto options = std::make_shared<ImportCommand>();
  auto& request = options->request;
  command
      ->add_option("source", request.source,
                   "A folder of diffusers (UNet2DModel, or a pipeline with one), or a .safetensors, .npz or "
                   "torch.save file of weights")
      ->required();
  command->add_option("--out", options->out, "The run's folder, which must not be there yet")->required();
  command->add_option("--scheduler", request.scheduler,
                      "A scheduler_config.json, for a folder of diffusers that has none");
  command->add_option("--config", request.config, "The configuration (.toml) that a file of weights is of");
  command->add_option("--side", request.side, "Of the images, where the files do not say it");
  command->add_option("--data", request.data, "What the model was trained on; records repeat it")
      ->capture_default_str();
  add_json_option(*command, options->json);
  command->callback([options, &session] { session.action = [options] { run_import(*options); }; });
}

}  // namespace ddpm_eval::eval
