// Any program as a backend: "exec:COMMAND". It is started once and speaks JSON lines, docs/workers.md:
//
//   {"id": 1, "case": "/tmp/.../case.safetensors", "out": "/tmp/.../out.safetensors", "taps": ["*"]}
//   {"id": 1, "ok": true}
//   {"id": 1, "ok": false, "kind": "ConfigError", "message": "..."}
//
// and where runs are timed
//
//   {"id": 2, "case": ..., "out": ..., "taps": [...], "repeat": 5}
//   {"id": 2, "ok": true, "seconds": [0.11, 0.1, 0.1, 0.1, 0.12]}
//
// The case is a golden file without expected tensors, and the program writes the same form with them.
#pragma once

#include "harness/backend/backend.h"
#include "harness/backend/child_process.h"

namespace forgecheck {

/// `name` is "exec:COMMAND", the command one for sh. Throws ConfigError where it is empty. Whatever the program
/// does wrong (it ends, hangs, takes too much memory, answers something else, writes no trace) is a
/// BackendError with the end of its standard error; the next case starts it anew.
std::unique_ptr<Backend> make_exec_backend(const std::string& name, const ChildLimits& limits);

/// The same of a command that is not part of the name.
std::unique_ptr<Backend> make_child_backend(const std::string& name, const std::string& command,
                                            const ChildLimits& limits);

}  // namespace forgecheck
