// The program `forgecheck`: the only place where an error becomes an exit status.
#include <malloc.h>

#include <cstdio>
#include <iostream>

#include "harness/case/nearest_name.h"
#include "harness/cli/command.h"
#include "reference/error.h"

namespace {

/// Throws ConfigError that names a word which is no command of `app`, with the nearest that is.
void require_command(const CLI::App& app, const std::vector<std::string>& words, std::size_t at) {
  if (at >= words.size() || words[at].starts_with('-')) return;
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
    if (names.back() != words[at]) continue;
    if (command->get_require_subcommand_min() > 0) require_command(*command, words, at + 1);
    return;
  }
  const std::string nearest = forgecheck::nearest_name(words[at], names);
  throw forgecheck::ConfigError("unknown command \"" + words[at] + "\"" +
                                (nearest.empty() ? "" : ", did you mean " + nearest + "?") +
                                " (see forgecheck --help)");
}

int run(int argc, char** argv) {
  forgecheck::Invocation invocation;
  invocation.arguments.assign(argv, argv + argc);
  // Tensors of the same sizes come and go: glibc keeps their memory, up to its own largest threshold.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  CLI::App app{"forgecheck: reference and verification for transformer models"};
  app.set_version_flag("--version", "forgecheck " FORGECHECK_VERSION);
  app.require_subcommand(1);
  app.fallthrough(false);
  forgecheck::add_verify(app, invocation);
  forgecheck::add_run(app, invocation);
  forgecheck::add_params(app, invocation);
  forgecheck::add_taps(app, invocation);
  forgecheck::add_generate(app, invocation);
  forgecheck::add_bisect(app, invocation);
  forgecheck::add_judge(app, invocation);
  forgecheck::add_fuzz(app, invocation);
  forgecheck::add_replay(app, invocation);
  forgecheck::add_compare(app, invocation);
  forgecheck::add_backends(app, invocation);
  forgecheck::add_bench(app, invocation);
  forgecheck::add_worker(app, invocation);
  forgecheck::add_calibrate(app, invocation);
  forgecheck::add_golden(app, invocation);
  forgecheck::add_report(app, invocation);
  forgecheck::add_manual(app, invocation);
  require_command(app, invocation.arguments, 1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);  // --help, --version
  } catch (const CLI::ParseError& error) {
    std::cerr << "forgecheck: " << error.what() << " (see forgecheck --help)\n";
    return forgecheck::kBadUsage;
  }
  return invocation.action();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const forgecheck::BackendUnavailable& error) {
    std::cerr << "forgecheck: " << error.what() << "\n";
    return forgecheck::kUnavailable;
  } catch (const forgecheck::BackendError& error) {
    std::cerr << "forgecheck: " << error.what() << "\n";
    return forgecheck::kFailure;
  } catch (const forgecheck::Error& error) {
    std::cerr << "forgecheck: " << error.what() << "\n";
    return forgecheck::kBadUsage;
  } catch (
      const std::filesystem::filesystem_error& error) {  // a loop of symbolic links, a folder that is closed
    std::cerr << "forgecheck: " << error.path1().string() << ": " << error.code().message() << "\n";
    return forgecheck::kBadUsage;
  } catch (const std::bad_alloc&) {
    std::cerr << "forgecheck: out of memory\n";
    return forgecheck::kFailure;
  } catch (const std::exception& error) {
    std::cerr << "forgecheck: internal error: " << error.what() << "\n";
    return forgecheck::kFailure;
  }
}
