#include "eval/commands/catalogue_command.h"

#include "base/core/error.h"
#include "base/core/interrupt.h"
#include "eval/console.h"

#include <memory>
#include <vector>

#include <CLI/CLI.hpp>

namespace ddpm_eval::eval {
namespace {

struct Choices {
  std::vector<std::string> names;
  std::string mirror;
};

const char* state_word(data::ItemState state) {
  switch (state) {
    case data::ItemState::kPresent:
      return "present";
    case data::ItemState::kMissing:
      return "missing";
    case data::ItemState::kDamaged:
      return "damaged";
  }
  return "";
}

void print_status(const data::ItemStatus& status, const std::string& remark) {
  print_line("{:<14} {:<8} {}", status.name, state_word(status.state), status.path.string());
  if (!remark.empty()) {
    print_line("{:<14} {:<8} {}", "", "", remark);
  }
}

void list_items(const CatalogueCommand& command) {
  for (const auto& item : data::catalogue(command.shelf)) {
    const auto status = data::inspect(command.shelf, item.name, data::Depth::kSizes);
    print_status(status, status.note.empty() ? item.about : status.note);
  }
}

void fetch_items(const CatalogueCommand& command, const Choices& choices, bool quiet) {
  for (const auto& name : choices.names) {
    data::inspect(command.shelf, name,
                  data::Depth::kSizes);  // an unknown name is told before anything is fetched
  }
  data::FetchOptions options;
  if (!choices.mirror.empty()) {
    options.mirror = choices.mirror;
  }
  options.progress = [quiet](const std::string& file) {
    return console_progress("fetching " + file, "bytes", quiet);
  };
  for (const auto& name : choices.names) {
    const auto status = data::fetch_item(command.shelf, name, options);
    print_status(status, status.note);
    if (status.state != data::ItemState::kPresent) {
      throw core::DataError("{}: fetched, but what is there is not usable: {}", name, status.note);
    }
  }
}

void verify_items(const CatalogueCommand& command, const Choices& choices) {
  auto names = choices.names;
  for (const auto& item : data::catalogue(command.shelf)) {
    const bool wanted = choices.names.empty();
    if (wanted &&
        data::inspect(command.shelf, item.name, data::Depth::kSizes).state != data::ItemState::kMissing) {
      names.push_back(item.name);
    }
  }
  if (names.empty()) {
    throw core::DataError("nothing to verify is here; see 'ddpm-eval {} list'", command.name);
  }
  std::vector<std::string> bad;
  for (const auto& name : names) {
    const auto status = data::inspect(command.shelf, name, data::Depth::kContent);
    if (core::interrupt_requested()) {
      throw core::InterruptedError("interrupted while {} was verified", name);
    }
    print_status(status, status.note);
    if (status.state != data::ItemState::kPresent) {
      bad.push_back(name);
    }
  }
  if (!bad.empty()) {
    throw core::DataError("missing or damaged: {}; run 'ddpm-eval {} fetch {}'", fmt::join(bad, ", "),
                          command.name, fmt::join(bad, " "));
  }
}

}  // namespace

void add_catalogue_command(CLI::App& program, Session& session, const CatalogueCommand& command) {
  CLI::App* group = program.add_subcommand(command.name, command.help);
  group->require_subcommand(1);
  const auto choices = std::make_shared<Choices>();

  CLI::App* list = group->add_subcommand("list", "Say what is known, what is here and where");
  list->callback([&session, command] { session.action = [command] { list_items(command); }; });

  CLI::App* fetch =
      group->add_subcommand("fetch", "Fetch by name, check and install; goes on where it was stopped");
  fetch->add_option("NAME", choices->names, "As in the list")->required();
  fetch->add_option("--mirror", choices->mirror,
                    "Folder to fetch from instead: http://, https:// or file://");
  fetch->callback([&session, command, choices] {
    session.action = [&session, command, choices] { fetch_items(command, *choices, session.quiet); };
  });

  CLI::App* verify = group->add_subcommand("verify", "Check every byte of what is here");
  verify->add_option("NAME", choices->names, "As in the list; without any, all that are here");
  verify->callback([&session, command, choices] {
    session.action = [command, choices] { verify_items(command, *choices); };
  });
}

}  // namespace ddpm_eval::eval
