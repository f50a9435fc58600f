#include "harness/backend/plugin_host.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>

#include "harness/backend/answers.h"
#include "harness/backend/exec_backend.h"
#include "harness/backend/forgecheck_plugin.h"
#include "harness/case/case_json.h"
#include "harness/golden/golden_file.h"
#include "harness/io/shell_line.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

constexpr std::string_view kPluginPrefix = "plugin:";

struct PluginType {
  forgecheck_dtype number;
  Dtype dtype;
};
constexpr PluginType kPluginTypes[] = {{FORGECHECK_FLOAT64, Dtype::f64},
                                       {FORGECHECK_FLOAT32, Dtype::f32},
                                       {FORGECHECK_BFLOAT16, Dtype::bf16},
                                       {FORGECHECK_INT64, Dtype::i64},
                                       {FORGECHECK_BOOL, Dtype::boolean}};

/// Tensors as a plugin sees them; the arrays must live as long.
std::vector<forgecheck_tensor> views_of(const std::vector<std::pair<std::string, Array>>& tensors) {
  std::vector<forgecheck_tensor> views;
  for (const auto& [name, array] : tensors) {
    const auto* const type = std::ranges::find(kPluginTypes, array.dtype(), &PluginType::dtype);
    if (type == std::end(kPluginTypes)) {
      throw ConfigError(fmt::format("{} is {}, which plugins do not take", name, torch_name(array.dtype())));
    }
    views.push_back({name.c_str(), type->number, static_cast<std::int32_t>(array.shape().size()),
                     array.shape().data(), array.bytes().data()});
  }
  return views;
}

/// What the plugin gives, checked before anything of it is read.
class GivenTaps {
 public:
  explicit GivenTaps(std::vector<std::string> wanted) : wanted_(std::move(wanted)) {}

  static int wants(void* host, const char* tap) {
    const std::vector<std::string>& wanted = static_cast<GivenTaps*>(host)->wanted_;
    return wanted == std::vector<std::string>{"*"} || std::ranges::find(wanted, tap) != wanted.end() ? 1 : 0;
  }
  static void give(void* host, const forgecheck_tensor* tap) { static_cast<GivenTaps*>(host)->add(*tap); }

  /// Throws BackendError if a tensor was none.
  const std::map<std::string, Array>& taps() const {
    if (!wrong_.empty()) throw BackendError(wrong_);
    return taps_;
  }

 private:
  void add(const forgecheck_tensor& tap) {
    constexpr std::int32_t kMaxRank = 8;
    const std::string name = tap.name == nullptr ? "" : tap.name;
    const auto* const type = std::ranges::find(kPluginTypes, tap.dtype, &PluginType::number);
    if (type == std::end(kPluginTypes) || tap.rank < 0 || tap.rank > kMaxRank ||
        (tap.rank > 0 && tap.shape == nullptr)) {
      wrong_ = fmt::format("gave a tap \"{}\" of dtype {} and rank {}", name, tap.dtype, tap.rank);
      return;
    }
    const Shape shape(tap.shape, tap.shape + tap.rank);
    constexpr std::int64_t kMaxElements = std::int64_t{1} << 40;
    std::int64_t elements = 1;
    for (const std::int64_t size : shape) {
      if (size < 0 || (size > 0 && elements > kMaxElements / size)) {
        wrong_ = fmt::format("gave a tap \"{}\" of shape {}", name, to_string(shape));
        return;
      }
      elements *= size;
    }
    const std::size_t bytes = static_cast<std::size_t>(elements) * size_of(type->dtype);
    if (bytes > 0 && tap.data == nullptr) {
      wrong_ = fmt::format("gave a tap \"{}\" without data", name);
      return;
    }
    std::shared_ptr<std::byte[]> copy(new std::byte[std::max<std::size_t>(bytes, 1)]);
    std::copy_n(static_cast<const std::byte*>(tap.data), bytes, copy.get());
    taps_.insert_or_assign(std::string(kExpected) + name,
                           Array(type->dtype, shape, std::shared_ptr<const std::byte>(copy, copy.get())));
  }

  std::vector<std::string> wanted_;
  std::map<std::string, Array> taps_;
  std::string wrong_;
};

class Plugin {
 public:
  /// Throws BackendError where it cannot be loaded or lacks a function.
  explicit Plugin(const std::string& path) {
    // A path without a slash would be looked for among the system's libraries.
    library_ = ::dlopen(std::filesystem::absolute(path).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library_ == nullptr) throw BackendError(fmt::format("cannot be loaded: {}", ::dlerror()));
    find(version_, "forgecheck_plugin_version");
    find(create_, "forgecheck_plugin_create");
    find(run_, "forgecheck_plugin_run");
    find(last_error_, "forgecheck_plugin_last_error");
    find(destroy_, "forgecheck_plugin_destroy");
    if (const int version = version_(); version != FORGECHECK_PLUGIN_VERSION) {
      throw BackendError(
          fmt::format("has version {} of the interface, not {}", version, FORGECHECK_PLUGIN_VERSION));
    }
  }

  /// Throws ConfigError where the plugin refuses the case, and BackendError where it fails.
  std::map<std::string, Array> run(const std::filesystem::path& file, std::vector<std::string> wanted) const {
    Golden golden = read_request(file, file.string());
    load_weights(golden);
    const Problem& problem = golden.problem;
    const std::vector<std::pair<std::string, Array>> weights(problem.parameters.begin(),
                                                             problem.parameters.end());
    std::vector<std::pair<std::string, Array>> inputs;
    Inputs::visit(problem.inputs, [&](const std::string& name, const std::optional<Array>& array) {
      if (array) inputs.emplace_back(name, *array);
    });
    for (const auto& [key, noise] : problem.inputs.gumbel) inputs.emplace_back("gumbel." + key, noise);
    const std::vector<forgecheck_tensor> weight_views = views_of(weights), input_views = views_of(inputs);

    void* model = nullptr;
    require_ok(
        create_(case_json(problem.definition).c_str(), weight_views.data(), weight_views.size(), &model));
    GivenTaps given(std::move(wanted));
    const forgecheck_outputs outputs{&given, GivenTaps::wants, GivenTaps::give};
    const int status = run_(model, input_views.data(), input_views.size(), &outputs);
    const std::string error = status == FORGECHECK_OK ? "" : last_error();
    destroy_(model);
    require_ok(status, error);
    return given.taps();
  }

 private:
  template <class Function>
  void find(Function*& function, const char* name) {
    function = reinterpret_cast<Function*>(::dlsym(library_, name));
    if (function == nullptr) throw BackendError(fmt::format("has no function {}", name));
  }
  std::string last_error() const {
    const char* const error = last_error_();
    return error == nullptr ? "" : error;
  }
  void require_ok(int status) const { require_ok(status, status == FORGECHECK_OK ? "" : last_error()); }
  static void require_ok(int status, const std::string& error) {
    if (status == FORGECHECK_REFUSED) throw ConfigError(error);
    if (status != FORGECHECK_OK) throw BackendError(fmt::format("returned {}: {}", status, error));
  }

  void* library_ = nullptr;  // for as long as the process lives
  decltype(&forgecheck_plugin_version) version_ = nullptr;
  decltype(&forgecheck_plugin_create) create_ = nullptr;
  decltype(&forgecheck_plugin_run) run_ = nullptr;
  decltype(&forgecheck_plugin_last_error) last_error_ = nullptr;
  decltype(&forgecheck_plugin_destroy) destroy_ = nullptr;
};

}  // namespace

std::unique_ptr<Backend> make_plugin_backend(const std::string& name, const ChildLimits& limits) {
  const std::string path = name.substr(kPluginPrefix.size());
  if (!std::filesystem::is_regular_file(path)) {
    throw ConfigError(fmt::format("backend \"{}\": {} is not a file", name, path.empty() ? "\"\"" : path));
  }
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  return make_child_backend(name, shell_line({"exec", program, "plugin-host", path}), limits);
}

int serve_plugin(const std::string& path) {
  const Plugin plugin(path);
  return serve_requests([&](const std::filesystem::path& file, std::vector<std::string> wanted) {
    return plugin.run(file, std::move(wanted));
  });
}

}  // namespace forgecheck
