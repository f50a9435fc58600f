// The writer: a header that depends only on the tensors, then their bytes, into a file that appears whole.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "harness/io/atomic_file.h"
#include "harness/io/safetensors.h"
#include "harness/io/safetensors_format.h"
#include "harness/io/strict_json.h"

namespace forgecheck {

namespace {

using namespace safetensors;
using Json = nlohmann::json;

/// Place of a type in the official library's order: by alignment, then as its Dtype enumeration has it.
int write_rank(Dtype dtype) {
  constexpr Dtype kOrder[] = {Dtype::i64,  Dtype::f64, Dtype::f32, Dtype::i32,
                              Dtype::bf16, Dtype::f16, Dtype::u8,  Dtype::boolean};
  return static_cast<int>(std::find(std::begin(kOrder), std::end(kOrder), dtype) - std::begin(kOrder));
}

using NamedArray = std::map<std::string, Array>::value_type;

/// The tensors in the order of the file, each fit to be read back.
std::vector<const NamedArray*> in_file_order(const std::filesystem::path& path,
                                             const std::map<std::string, Array>& tensors) {
  std::vector<const NamedArray*> ordered;
  for (const NamedArray& item : tensors) {
    if (item.first == kMetadataKey) refuse(path, "a tensor cannot have the name \"__metadata__\"");
    if (item.second.bytes().data() == nullptr && item.second.size() > 0) {
      refuse(path, fmt::format("tensor {} has a shape but no data", shown(item.first)));
    }
    require_bool_bytes(path, item.first, item.second);
    ordered.push_back(&item);
  }
  std::stable_sort(ordered.begin(), ordered.end(), [](const NamedArray* a, const NamedArray* b) {
    return write_rank(a->second.dtype()) < write_rank(b->second.dtype());
  });
  return ordered;
}

/// The header's length and text. Fields and entries are placed by hand: Json sorts them by name.
std::string file_head(const std::filesystem::path& path, const std::vector<const NamedArray*>& ordered,
                      const std::map<std::string, std::string>& metadata) {
  std::string text = "{";
  try {
    if (!metadata.empty()) text += Json(kMetadataKey).dump() + ":" + Json(metadata).dump();
    std::uint64_t offset = 0;
    for (const NamedArray* item : ordered) {
      const auto& [name, array] = *item;
      const std::uint64_t end = offset + array.bytes().size();
      if (text.size() > 1) text += ',';
      text += fmt::format(R"({}:{{"dtype":{},"shape":{},"data_offsets":{}}})", Json(name).dump(),
                          Json(safetensors_name(array.dtype())).dump(), Json(array.shape()).dump(),
                          Json({offset, end}).dump());
      offset = end;
    }
  } catch (const Json::exception&) {
    refuse(path, "a tensor name or a metadata text is not valid UTF-8");
  }
  text += '}';
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > kMaxHeaderBytes) {
    refuse(path, fmt::format("header length would be {}, more than {}", text.size(), kMaxHeaderBytes));
  }
  const std::uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), kLengthBytes) + text;
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, const std::map<std::string, Array>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const std::vector<const NamedArray*> ordered = in_file_order(path, tensors);
  const std::string head = file_head(path, ordered, metadata);
  AtomicFile file(path);
  file.write(head);
  for (const NamedArray* item : ordered) file.write(item->second.bytes());
  file.commit();
}

}  // namespace forgecheck
