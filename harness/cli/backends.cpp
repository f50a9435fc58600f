#include <cstdio>
#include <iostream>

#include "harness/backend/backend.h"
#include "harness/cli/command.h"

namespace forgecheck {

void add_backends(CLI::App& app, Invocation& invocation) {
  CLI::App* command = add_command(app, "backends", "List what this machine can run, and why not the rest",
                                  "forgecheck backends");
  command->callback([&invocation] {
    invocation.action = [] {
      for (const BackendStatus& backend : list_backends()) {
        const std::string state =
            backend.unavailable.empty() ? "" : " [not available: " + backend.unavailable + "]";
        std::printf("%-16s %s%s\n", backend.name.c_str(), backend.description.c_str(), state.c_str());
      }
      return kAllMatch;
    };
  });
}

}  // namespace forgecheck
