#include "harness/cli/command.h"

#include <unistd.h>

#include <charconv>
#include <cstdio>

#include "reference/error.h"

namespace forgecheck {

CLI::App* add_command(CLI::App& app, const std::string& name, const std::string& description,
                      const std::string& example) {
  CLI::App* command = app.add_subcommand(name, description);
  command->footer("Example:\n  " + example);
  return command;
}

std::optional<std::filesystem::path> default_golden_folder() {
  // Here, or where the program was installed, or in the repository that it was built in.
  std::error_code unknown;
  const std::filesystem::path bin = std::filesystem::read_symlink("/proc/self/exe", unknown).parent_path();
  for (const std::filesystem::path& folder :
       {std::filesystem::path("golden"), bin.parent_path() / "share/forgecheck/golden",
        bin.parent_path().parent_path() / "golden"}) {
    if (std::filesystem::is_directory(folder)) return folder;
  }
  return std::nullopt;
}

std::filesystem::path golden_folder(const std::string& given) {
  if (!given.empty()) {
    if (!std::filesystem::is_directory(given)) throw ConfigError("--golden " + given + ": is not a folder");
    return given;
  }
  if (const auto folder = default_golden_folder()) return *folder;
  throw ConfigError("--golden: there is no folder golden here, and none came with the program; name one");
}

namespace {

template <class Integer>
Integer parse_whole(const std::string& option, const std::string& text, const char* what) {
  Integer value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw ConfigError(option + " " + (text.empty() ? "\"\"" : text) + ": must be " + what);
  }
  return value;
}

}  // namespace

std::int64_t parse_integer(const std::string& option, const std::string& text) {
  return parse_whole<std::int64_t>(option, text, "an integer below 2^63");
}

std::uint64_t parse_unsigned(const std::string& option, const std::string& text) {
  return parse_whole<std::uint64_t>(option, text, "an integer in 0 .. 2^64 - 1");
}

std::string missing_folder_of(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  return std::filesystem::is_directory(folder) ? "" : "the folder " + folder.string() + " is not there";
}

void require_folder_of(const std::string& option, const std::string& path) {
  if (path.empty()) return;
  const std::string missing = missing_folder_of(path);
  if (!missing.empty()) throw ConfigError(option + " " + path + ": " + missing);
}

void show_progress(const std::string& text) {
  static const bool terminal = isatty(STDERR_FILENO) != 0;
  if (terminal) std::fprintf(stderr, "\r\033[K%s", text.c_str());
}

}  // namespace forgecheck
