// What the subcommands share.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "harness/report/report.h"

namespace forgecheck {

/// Exit statuses of the program.
inline constexpr int kAllMatch = 0;
inline constexpr int kFailure = 1;
inline constexpr int kBadUsage = 2;
inline constexpr int kUnavailable = 3;

/// The program's arguments as typed, and what the chosen subcommand returns.
struct Invocation {
  std::vector<std::string> arguments;
  std::function<int()> action;
};

/// Adds a subcommand with its description and an example below its help.
CLI::App* add_command(CLI::App& app, const std::string& name, const std::string& description,
                      const std::string& example);

/// The golden folder that is there without being named: ./golden, the one that was installed with the program, or that
/// of the repository in whose build folder the program lies.
std::optional<std::filesystem::path> default_golden_folder();

/// `given` if not empty, else the default one. Throws ConfigError if there is none.
std::filesystem::path golden_folder(const std::string& given);

/// Integers from the text of an option. Throws ConfigError "--seed -1: ..." unless all of it is one, in
/// range.
std::int64_t parse_integer(const std::string& option, const std::string& text);
std::uint64_t parse_unsigned(const std::string& option, const std::string& text);

/// "the folder /x is not there" for a path in a folder that is missing; empty where a file can be made.
std::string missing_folder_of(const std::string& path);

/// Throws ConfigError where the folder of `path`, given for `option`, is missing: better before the work. An
/// empty path asks for nothing.
void require_folder_of(const std::string& option, const std::string& path);

/// Writes "text" over the last line on a terminal, nothing elsewhere; an empty text clears the line.
void show_progress(const std::string& text);

void add_verify(CLI::App& app, Invocation& invocation);
void add_run(CLI::App& app, Invocation& invocation);
void add_params(CLI::App& app, Invocation& invocation);
void add_taps(CLI::App& app, Invocation& invocation);
void add_generate(CLI::App& app, Invocation& invocation);
void add_bisect(CLI::App& app, Invocation& invocation);
void add_judge(CLI::App& app, Invocation& invocation);
void add_fuzz(CLI::App& app, Invocation& invocation);
void add_replay(CLI::App& app, Invocation& invocation);
void add_worker(CLI::App& app, Invocation& invocation);
void add_compare(CLI::App& app, Invocation& invocation);
void add_backends(CLI::App& app, Invocation& invocation);
void add_bench(CLI::App& app, Invocation& invocation);
void add_calibrate(CLI::App& app, Invocation& invocation);
void add_golden(CLI::App& app, Invocation& invocation);
void add_report(CLI::App& app, Invocation& invocation);
void add_manual(CLI::App& app, Invocation& invocation);

}  // namespace forgecheck
