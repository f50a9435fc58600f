#include "harness/cli/command.h"

#include <unistd.h>

#include <cstdio>

#include "reference/error.h"

namespace forgecheck {

CLI::App* add_command(CLI::App& app, const std::string& name, const std::string& description,
                      const std::string& example) {
  CLI::App* command = app.add_subcommand(name, description);
  command->footer("Example:\n  " + example);
  return command;
}

std::filesystem::path golden_folder(const std::string& given) {
  if (!given.empty()) {
    if (!std::filesystem::is_directory(given)) throw ConfigError("--golden " + given + ": is not a folder");
    return given;
  }
  for (const std::filesystem::path folder : {"golden", FORGECHECK_SOURCE_DIR "/golden"}) {
    if (std::filesystem::is_directory(folder)) return folder;
  }
  throw ConfigError("--golden: there is no golden folder here; name one");
}

void show_progress(const std::string& text) {
  static const bool terminal = isatty(STDERR_FILENO) != 0;
  if (terminal) std::fprintf(stderr, "\r\033[K%s", text.c_str());
}

}  // namespace forgecheck
