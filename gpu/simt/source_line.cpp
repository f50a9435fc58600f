#include "gpu/simt/source_line.h"

#include <dlfcn.h>
#include <link.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <map>
#include <sstream>
#include <string_view>

namespace simt {

namespace {

std::string without_folders(std::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));
}

/// "void (anonymous namespace)::scale<float>(float*, int)" becomes "(anonymous namespace)::scale<float>".
std::string without_parameters(std::string name) {
  if (name.starts_with("void ")) {
    name.erase(0, 5);
  }
  if (!name.empty() && name.back() == ')') {
    int depth = 0;
    for (std::size_t i = name.size(); i-- > 0;) {
      depth += name[i] == ')' ? 1 : name[i] == '(' ? -1 : 0;
      if (depth == 0) {
        return name.substr(0, i);
      }
    }
  }
  return name;
}

std::string output_of(const std::string& command) {
  std::string text;
  if (FILE* pipe = popen(command.c_str(), "r")) {
    std::array<char, 512> part{};
    while (std::fgets(part.data(), part.size(), pipe) != nullptr) {
      text += part.data();
    }
    pclose(pipe);
  }
  return text;
}

/// The file that holds the code, and where the system loaded it.
struct Module {
  std::string path;
  std::uintptr_t base = 0;
};

Module module_of(const void* address) {
  Dl_info info{};
  link_map* map = nullptr;
  if (dladdr1(address, &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) == 0 || map == nullptr) {
    return {};
  }
  Module module{map->l_name, map->l_addr};
  if (module.path.empty()) {  // the program itself
    std::array<char, PATH_MAX> path{};
    const ssize_t length = readlink("/proc/self/exe", path.data(), path.size());
    module.path.assign(path.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  }
  return module;
}

SourceLine look_up(const void* address) {
  const auto value = reinterpret_cast<std::uintptr_t>(address);
  SourceLine line{hexadecimal(value), ""};
  const Module module = module_of(address);
  if (module.path.empty()) {
    return line;
  }
  // Two lines a frame, function and file:line, from the innermost of inlined functions outwards. The
  // first frame outside the emulator's own headers is the kernel's.
  std::istringstream text(output_of("addr2line -f -C -i -e '" + module.path + "' " +
                                    hexadecimal(value - module.base) + " 2>/dev/null"));
  std::string function;
  std::string place;
  while (std::getline(text, function) && std::getline(text, place)) {
    if (place.find("simt/include/") == std::string::npos) {
      break;
    }
  }
  if (function.empty() || function.starts_with("??")) {
    return line;
  }
  line.function = without_parameters(function);
  place = place.substr(0, place.find(' '));  // " (discriminator 3)"
  if (!place.starts_with("??")) {
    line.place = without_folders(place);
  }
  return line;
}

}  // namespace

std::string hexadecimal(std::uint64_t value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "0x%llx", static_cast<unsigned long long>(value));
  return text.data();
}

SourceLine source_line(const void* address) {
  static std::map<const void*, SourceLine> known;
  const auto [entry, is_new] = known.try_emplace(address);
  if (is_new) {
    entry->second = look_up(address);
  }
  return entry->second;
}

SourceLine calling_line(const void* return_address) {
  return source_line(static_cast<const char*>(return_address) - 1);
}

std::string place(const Where& where) {
  return without_folders(where.file) + ":" + std::to_string(where.line);
}

}  // namespace simt
