// The manual page and the completion of shells, made from the program's own help.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <functional>
#include <iostream>

#include "harness/cli/command.h"

namespace forgecheck {

namespace {

using Apps = std::vector<const CLI::App*>;

Apps subcommands(const CLI::App& app) {
  return app.get_subcommands(
      [](const CLI::App* command) { return !command->get_group().empty(); });  // the hidden ones
}

/// Each command that does something, with all of its words: "golden record".
void visit(const CLI::App& app, const std::string& words,
           const std::function<void(const std::string&, const CLI::App&)>& act) {
  for (const CLI::App* command : subcommands(app)) {
    const std::string name = words.empty() ? command->get_name() : words + " " + command->get_name();
    if (subcommands(*command).empty()) {
      act(name, *command);
    } else {
      visit(*command, name, act);
    }
  }
}

// ---- the manual page, in roff ----

/// Text that roff shows as it is.
std::string roff(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const bool begins_line = result.empty() || result.back() == '\n';
    if (begins_line && (c == '.' || c == '\'')) result += "\\&";
    if (c == '\\') {
      result += "\\e";
    } else if (c == '-') {
      result += "\\-";
    } else {
      result += c;
    }
  }
  return result;
}

void print_manual(const CLI::App& app) {
  fmt::print(".TH FORGECHECK 1 \"\" \"forgecheck {}\" \"User Commands\"\n", FORGECHECK_VERSION);
  fmt::print(".SH NAME\nforgecheck \\- reference and verification for transformer models\n");
  fmt::print(".SH SYNOPSIS\n.B forgecheck\n.I COMMAND\n[\\fIOPTION\\fR]...\n.SH COMMANDS\n");
  visit(app, "", [](const std::string& words, const CLI::App& command) {
    fmt::print(".SS {}\n{}\n", roff("forgecheck " + words), roff(command.get_description()));
    for (const CLI::Option* option : command.get_options()) {
      const std::string name =
          option->get_positional() ? option->get_name(true) : option->get_name(false, true);
      const bool takes = !option->get_positional() && option->get_items_expected_max() > 0;
      fmt::print(".TP\n.B {}{}\n{}\n", roff(name), takes ? " \\fIVALUE\\fR" : "",
                 roff(option->get_description()));
    }
    const std::string footer = command.get_footer();
    if (!footer.empty()) fmt::print(".PP\n.nf\n{}\n.fi\n", roff(footer));
  });
  fmt::print(
      ".SH EXIT STATUS\n0 every result is a success; 1 a failure; 2 bad usage, configuration or file; 3 a "
      "backend that is "
      "unavailable here\n");
}

// ---- completion ----

/// "--golden", "--filter": the long names of a command's options.
std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::vector<std::string> names_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : subcommands(app)) names.push_back(command->get_name());
  return names;
}

void print_bash_completion(const CLI::App& app) {
  fmt::print(
      "# bash completion of forgecheck; source it, or put it in bash-completion's folder\n_forgecheck() "
      "{{\n");
  fmt::print("  local current=${{COMP_WORDS[COMP_CWORD]}} words=\n");
  fmt::print("  case \"${{COMP_WORDS[1]}} ${{COMP_WORDS[2]}}\" in\n");
  visit(app, "", [](const std::string& words, const CLI::App& command) {
    const bool nested = words.find(' ') != std::string::npos;
    fmt::print("    \"{}{}) words=\"{}\" ;;\n", words, nested ? "\"" : " \"*",
               fmt::join(option_names(command), " "));
  });
  fmt::print("  esac\n");
  fmt::print("  if [ \"$COMP_CWORD\" -eq 1 ]; then\n    words=\"{}\"\n", fmt::join(names_of(app), " "));
  for (const CLI::App* command : subcommands(app)) {
    if (subcommands(*command).empty()) continue;
    fmt::print(
        "  elif [ \"$COMP_CWORD\" -eq 2 ] && [ \"${{COMP_WORDS[1]}}\" = {} ]; then\n    words=\"{}\"\n",
        command->get_name(), fmt::join(names_of(*command), " "));
  }
  fmt::print(
      "  elif [[ $current != -* ]]; then\n    COMPREPLY=($(compgen -f -- \"$current\"))\n    return\n  fi\n");
  fmt::print(
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n}}\ncomplete -o filenames -F _forgecheck "
      "forgecheck\n");
}

}  // namespace

void add_manual(CLI::App& app, Invocation& invocation) {
  const auto add = [&](const char* name, const char* description, const char* example,
                       void (*print)(const CLI::App&)) {
    CLI::App* command = add_command(app, name, description, example);
    command->callback([&app, &invocation, print] {
      invocation.action = [&app, print] {
        print(app);
        return kAllMatch;
      };
    });
  };
  add("manual", "Print the manual page, made from the help of every command", "forgecheck manual | man -l -",
      print_manual);
  add("completion", "Print the completion of commands and options for bash",
      "forgecheck completion > ~/.local/share/bash-completion/completions/forgecheck", print_bash_completion);
}

}  // namespace forgecheck
