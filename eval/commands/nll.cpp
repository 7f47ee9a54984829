#include "eval/console.h"
#include "eval/distinct_files.h"
#include "eval/likelihood_run.h"
#include "eval/output.h"
#include "eval/run_files.h"
#include "eval/sampling_options.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ddpm_eval::eval {
namespace {

struct NllCommand {
  LikelihoodRequest request;
  std::string json;
};

void run_nll(const NllCommand& command, const Session& session) {
  const auto& out = command.request.out;
  auto inputs = source_files("--data", command.request.data);
  const auto of_run = files_of_run("--run", command.request.run.run);
  inputs.insert(inputs.end(), of_run.begin(), of_run.end());
  require_distinct({{"--out", out / "nll.json"},
                    {"--out", out / "curve.csv"},
                    {"--out", out / "curve.svg"},
                    {"--out", out / "state.safetensors"},
                    {"--json", command.json}},
                   inputs);
  require_json_target(command.json);
  const auto record = evaluate_likelihood(command.request, session);
  if (write_json(command.json, record)) {
    return;
  }
  const auto unit = record["unit"].get<std::string>();
  const auto row = [&](const char* name, double mean, double error) {
    fmt::print("{:<16} {:>10.5f} +- {:.5f} {}\n", name, mean, error, unit);
  };
  for (const char* part : {"regularisation", "denoising", "reconstruction"}) {
    row(part, record["parts"][part]["mean"].get<double>(), record["parts"][part]["error"].get<double>());
  }
  const std::string stem = unit == "bits/dim" ? "bits_per_dim" : "nats_per_dim";
  row("total", record["metrics"][stem].get<double>(), record["metrics"][stem + "_error"].get<double>());
  if (!record["progressive_coding"].empty()) {
    fmt::print("\n{:>6} {:>10} {:>10}\n", "steps", "rate", "RMSE");
  }
  for (const auto& point : record["progressive_coding"]) {
    fmt::print("{:>6} {:>10.5f} {:>10.5f}\n", point["steps"].get<int64_t>(), point["rate"].get<double>(),
               point["rmse"].get<double>());
  }
  print_line("{} examples of {}; record, curve and plot in {}", record["count"].get<int64_t>(),
             record["data"].get<std::string>(), command.request.out.string());
}

}  // namespace

void add_nll_command(CLI::App& program, Session& session) {
  auto* command = program.add_subcommand(
      "nll",
      "Variational bound on the negative log-likelihood, term by term: bits/dim, or nats/dim of points");
  auto options = std::make_shared<NllCommand>();
  auto& request = options->request;
  command->add_option("--run", request.run.run, "The training folder")->required();
  command
      ->add_option("--data", request.data,
                   "A source of images, or swiss-roll, 8-gaussians, moons with ?num=N")
      ->required();
  command
      ->add_option("--out", request.out,
                   "A folder for record, curve and plot; an interrupted evaluation goes on there")
      ->required();
  const LikelihoodSettings standard;
  add_key_flags(*command,
                {{"--strata", "strata",
                  "Estimate from t = 0 and one t out of each of N - 1 parts of the chain; 0: every t",
                  std::to_string(standard.options.strata)},
                 {"--micro-batch", "micro_batch", "Examples that go through the network together",
                  std::to_string(standard.options.micro_batch)},
                 {"--precision", "precision", "What the network computes in: float32, or bf16", "float32"}},
                request.settings);
  command->add_option("--seed", request.seed, "Of the noise and of the t drawn")->capture_default_str();
  command->add_flag_callback(
      "--no-clip",
      [&request] {
        request.settings.push_back({"clip=false", "--no-clip"});
      },
      "Leave x_0 outside [-1, 1]; the official code clips");
  add_weights_options(*command, request.run);
  add_json_option(*command, options->json);
  command->callback([options, &session] {
    session.shared = true;
    session.action = [options, &session] { run_nll(*options, session); };
  });
}

}  // namespace ddpm_eval::eval
