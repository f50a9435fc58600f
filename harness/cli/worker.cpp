#include "harness/backend/answers.h"
#include "harness/backend/backend.h"
#include "harness/cli/command.h"

namespace forgecheck {

void add_worker(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      add_command(app, "worker",
                  "Answer another forgecheck's requests (exec:COMMAND, docs/workers.md) with a backend of "
                  "this one: two versions are compared so",
                  "forgecheck verify --backend 'exec:build-of-yesterday/forgecheck worker'");
  auto backend = std::make_shared<std::string>("reference");
  command->add_option("--backend", *backend, "Backend that answers (default: reference)");
  command->callback([backend, &invocation] {
    invocation.action = [backend] { return serve_backend(*make_backend(*backend)); };
  });
}

}  // namespace forgecheck
