#include "eval/show.h"

#include "base/core/error.h"
#include "eval/command.h"
#include "eval/console.h"
#include "eval/distinct_files.h"
#include "eval/output.h"
#include "eval/run_files.h"
#include "eval/sampling_options.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace ddpm_eval::eval {
namespace {

void add_picture_options(CLI::App& command, FilmOptions& film, std::string& json) {
  command.add_option("--strip", film.strip, "A .png: the moments side by side");
  command.add_option("--gif", film.gif, "A .gif: the moments one after another, for ever");
  command
      .add_option("--scale", film.scale,
                  "Enlarges every pixel so many times, or panels of points; 0: by their size")
      ->capture_default_str();
  command.add_option("--delay", film.gif_options.delay_ms, "How long the GIF shows a frame, in milliseconds")
      ->capture_default_str();
  command.add_option("--hold", film.gif_options.hold_ms, "How long it shows the first and the last one")
      ->capture_default_str();
  command
      .add_option("--colours", film.gif_options.colours,
                  "Of the GIF, or of each frame where all together have more; fewer make smaller files")
      ->capture_default_str();
  add_json_option(command, json);
}

void add_moment_options(CLI::App& command, FilmOptions& film, int64_t& count) {
  command.add_option("--num", count, "How many images or points; 0: 8 images, 2,000 points")
      ->capture_default_str();
  command.add_option("--columns", film.columns, "Moments in the strip; 0: as suits")->capture_default_str();
  command.add_option("--frames", film.frames, "Moments in the GIF; 0: as suits")->capture_default_str();
}

/// Options of a picture that is not asked for would have no effect.
void require_effect(const CLI::App& command, const FilmOptions& film) {
  const auto require = [&](const std::filesystem::path& target, const char* of,
                           const std::vector<const char*>& flags) {
    for (const char* flag : flags) {
      const auto* option = command.get_option_no_throw(flag);
      if (target.empty() && option != nullptr && option->count() > 0) {
        throw core::UsageError("{}: has no effect without {}; leave it out", flag, of);
      }
    }
  };
  require(film.strip, "--strip", {"--columns", "--lambda"});
  require(film.gif, "--gif", {"--frames", "--delay", "--hold", "--colours"});
}

void check_targets(const CLI::App& command, const FilmOptions& film, const std::string& json,
                   const std::vector<FlagFile>& inputs) {
  require_film_targets(film);
  require_effect(command, film);
  require_distinct({{"--strip", film.strip}, {"--gif", film.gif}, {"--json", json}}, inputs);
  require_json_target(json);
}

void tell(const std::string& json, const core::Json& record) {
  if (write_json(json, record)) {
    return;
  }
  for (const char* kind : {"strip", "gif"}) {
    if (record.at("pictures").contains(kind)) {
      const auto& picture = record["pictures"][kind];
      const auto& moments = picture.contains("t") ? picture["t"] : picture["lambda"];
      print_line("{}: {} {}", picture["file"].get<std::string>(), moments.size(),
                 picture.contains("t") ? "moments" : "values of lambda");
    }
  }
}

/// A subcommand's request and where its record goes.
template <class Request>
struct ShowOptions {
  ShowOptions() {
    request.film.gif_options.delay_ms = 80;
    request.film.gif_options.hold_ms = 1000;
  }

  Request request{};
  std::string json{};
};

/// The options of every picture, and what is done when the subcommand is chosen: `inputs_of` names the files
/// that it reads, `show` draws.
template <class Request, class InputsOf, class Show>
void finish_command(CLI::App& command, Session& session, const std::shared_ptr<ShowOptions<Request>>& options,
                    InputsOf inputs_of, Show show) {
  add_picture_options(command, options->request.film, options->json);
  command.callback([&command, &session, options, inputs_of, show] {
    session.action = [&command, options, inputs_of, show] {
      const auto& asked = options->request;
      check_targets(command, asked.film, options->json, inputs_of(asked));
      tell(options->json, show(asked));
    };
  });
}

/// Of a source that may be left out, and of a run if there is one.
std::vector<FlagFile> files_read(const std::string& data, const std::filesystem::path& run) {
  auto files = data.empty() ? std::vector<FlagFile>() : source_files("--data", data);
  if (!run.empty()) {
    const auto of_run = files_of_run("--run", run);
    files.insert(files.end(), of_run.begin(), of_run.end());
  }
  return files;
}

void add_forward(CLI::App& group, Session& session) {
  auto* command =
      group.add_subcommand("forward", "Data on their way into noise: a draw of q(x_1, ..., x_T | x_0)");
  auto options = std::make_shared<ShowOptions<ForwardRequest>>();
  auto& request = options->request;
  command->add_option("--data", request.data, "A source of images, or swiss-roll, 8-gaussians, moons");
  command->add_option("--config", request.config, "A TOML file for schedule and source; see configs/");
  add_key_flags(
      *command,
      {{"--schedule", "process.kind", "linear, quad, sigmoid, cosine, const, warmup10, warmup50 or jsd"},
       {"--steps", "process.steps", "T"},
       {"--beta-start", "process.beta_start", "beta_1 of schedules with end points"},
       {"--beta-end", "process.beta_end", "beta_T of them"},
       {"--rescale", "process.rescale", "true: both times 1000 / T"}},
      request.settings);
  command
      ->add_option_function<std::string>(
          "--set",
          [options](const std::string& value) {
            options->request.settings.push_back({value, {}});
          },
          "Override a key of [process] or [data]: --set data.standardise=false. Repeatable")
      ->trigger_on_parse()
      ->allow_extra_args(false);
  add_moment_options(*command, request.film, request.count);
  command->add_option("--seed", request.seed, "Of the noise")->capture_default_str();
  finish_command(
      *command, session, options,
      [](const ForwardRequest& asked) {
        auto inputs = files_read(asked.data, {});
        inputs.push_back({"--config", asked.config});
        return inputs;
      },
      show_forward);
}

void add_reverse(CLI::App& group, Session& session, ddpm::Shown shown, const char* name, const char* help) {
  auto* command = group.add_subcommand(name, help);
  auto options = std::make_shared<ShowOptions<ReverseRequest>>();
  auto& request = options->request;
  request.shown = shown;
  add_sampling_options(*command, request.run);
  add_moment_options(*command, request.film, request.count);
  finish_command(
      *command, session, options, [](const ReverseRequest& asked) { return files_read({}, asked.run.run); },
      [&session](const ReverseRequest& asked) { return show_reverse(asked, session); });
}

void add_interpolate(CLI::App& group, Session& session) {
  auto* command =
      group.add_subcommand("interpolate", "Between two images: both noised to t, mixed there, decoded");
  auto options = std::make_shared<ShowOptions<InterpolationRequest>>();
  auto& request = options->request;
  add_sampling_options(*command, request.run);
  command->add_option("--data", request.data, "A source of images; by default the one trained on");
  command->add_option("--pair", request.pair, "Indices of the two images in it: --pair 0,1")->delimiter(',');
  command
      ->add_option("--depth", request.levels,
                   "t to mix at, a row each: --depth 250,500,1000. By default T / 2")
      ->delimiter(',');
  command
      ->add_option("--lambda", request.lambdas,
                   "Weights of the second image in the strip. By default 0,0.1,...,1")
      ->delimiter(',');
  command
      ->add_option("--frames", request.film.frames,
                   "Weights from 0 to 1 in the GIF, which goes there and back; 0: 21")
      ->capture_default_str();
  finish_command(
      *command, session, options,
      [](const InterpolationRequest& asked) { return files_read(asked.data, asked.run.run); },
      [&session](const InterpolationRequest& asked) { return show_interpolation(asked, session); });
}

}  // namespace

void add_show_command(CLI::App& program, Session& session) {
  auto* group = program.add_subcommand("show", "Pictures of the process, as strips and animations");
  group->require_subcommand(1);
  add_forward(*group, session);
  add_reverse(*group, session, ddpm::Shown::kState, "reverse", "A run's samples on their way out of noise");
  add_reverse(*group, session, ddpm::Shown::kEstimate, "progressive",
              "The estimates of x_0 that a run makes on that way");
  add_interpolate(*group, session);
}

}  // namespace ddpm_eval::eval
