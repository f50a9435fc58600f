// A plugin (forgecheck_plugin.h), and the process that it runs in: the program itself, which speaks the protocol of
// exec_backend.h.
#pragma once

#include "harness/backend/backend.h"

namespace forgecheck {

/// `name` is "plugin:PATH.so". Throws ConfigError where there is no such file; what the plugin does wrong is a finding of
/// each case.
std::unique_ptr<Backend> make_plugin_backend(const std::string& name, const ChildLimits& limits);

/// Loads the plugin and answers requests from standard input until it ends. Returns the exit status.
int serve_plugin(const std::string& path);

}  // namespace forgecheck
