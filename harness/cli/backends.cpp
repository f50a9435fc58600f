#include <fmt/format.h>

#include "harness/backend/backend.h"
#include "harness/backend/plugin_host.h"
#include "harness/cli/command.h"

namespace forgecheck {

void add_backends(CLI::App& app, Invocation& invocation) {
  CLI::App* command = add_command(
      app, "backends", "List every backend, and why those that this machine cannot run are unavailable",
      "forgecheck backends");
  command->callback([&invocation] {
    invocation.action = [] {
      for (const BackendStatus& backend : list_backends()) {
        const std::string state =
            backend.unavailable.empty() ? "" : " [unavailable: " + backend.unavailable + "]";
        fmt::print("{:<16} {}{}\n", backend.name, backend.description, state);
      }
      fmt::print("{:<16} any program that speaks JSON lines (docs/workers.md)\n", "exec:COMMAND");
      fmt::print("{:<16} a shared library with the C interface of forgecheck_plugin.h (docs/workers.md)\n",
                 "plugin:PATH.so");
      return kAllMatch;
    };
  });
  // The process that a plugin runs in; not for people.
  CLI::App* host = app.add_subcommand("plugin-host")->group("");
  auto path = std::make_shared<std::string>();
  host->add_option("PATH", *path)->required();
  host->callback([path, &invocation] { invocation.action = [path] { return serve_plugin(*path); }; });
}

}  // namespace forgecheck
