#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace CLI {
class App;
}

namespace ddpm_eval::eval {

/// What all commands share: the global flags, and what main() is to run once everything is parsed.
struct Session {
  int threads = 0;               ///< 0: every available processor
  std::string device = "cpu";    ///< where networks compute: cpu, cuda or cuda:N
  bool tf32 = false;             ///< float32 products of a GPU in 10 bits
  bool quiet = false;            ///< no progress
  bool cache = false;            ///< what has been measured is kept and looked for (eval/side_cache.h)
  std::optional<int> procs;      ///< that share the work; else those that a launcher has started, if any
  bool shared = false;           ///< set by a command that several processes can share
  bool spread = false;           ///< set by a command whose processes need not meet to share its work
  std::function<void()> action;  ///< set by the chosen command
};

// One function per command, each in its own file under eval/commands/: it adds its subcommand with options
// and help to `program` and, when chosen, sets session.action. Results go to stdout, everything else to
// stderr.
void add_ablate_command(CLI::App& program, Session& session);
void add_cache_command(CLI::App& program, Session& session);
void add_compare_command(CLI::App& program, Session& session);
void add_data_command(CLI::App& program, Session& session);
void add_explain_command(CLI::App& program, Session& session);
void add_export_command(CLI::App& program, Session& session);
void add_features_command(CLI::App& program, Session& session);
void add_fid_command(CLI::App& program, Session& session);
void add_import_command(CLI::App& program, Session& session);
void add_info_command(CLI::App& program, Session& session);
void add_is_command(CLI::App& program, Session& session);
void add_kid_command(CLI::App& program, Session& session);
void add_nll_command(CLI::App& program, Session& session);
void add_prdc_command(CLI::App& program, Session& session);
void add_report_command(CLI::App& program, Session& session);
void add_sample_command(CLI::App& program, Session& session);
void add_score_command(CLI::App& program, Session& session);
void add_show_command(CLI::App& program, Session& session);
void add_stats_command(CLI::App& program, Session& session);
void add_stats_merge_command(CLI::App& stats, Session& session);  ///< for add_stats_command()
void add_train_command(CLI::App& program, Session& session);
void add_weights_command(CLI::App& program, Session& session);

}  // namespace ddpm_eval::eval
