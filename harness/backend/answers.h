// The other side of exec_backend.h: a program that answers requests.
#pragma once

#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "harness/backend/backend.h"

namespace forgecheck {

/// Takes standard output for answers: what anything else prints goes to standard error from now on. Throws BackendError
/// where it is closed.
std::FILE* take_standard_output();

/// The tensors of one request: `file` holds the case, `wanted` the taps asked for ("*": all). Throws ConfigError where it
/// refuses the case, BackendError where it fails.
using Answer = std::function<std::map<std::string, Array>(const std::filesystem::path& file,
                                                          std::vector<std::string> wanted)>;

/// Answers requests from standard input until it ends. Returns the exit status.
int serve_requests(const Answer& answer);

/// The same with one of the program's own backends.
int serve_backend(Backend& backend);

}  // namespace forgecheck
