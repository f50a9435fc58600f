// The reader: header text, its entries one by one, then all of them against the data.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <tuple>
#include <vector>

#include "harness/io/mapped_file.h"
#include "harness/io/safetensors.h"
#include "harness/io/safetensors_format.h"
#include "harness/io/strict_json.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

using namespace safetensors;
using Json = nlohmann::json;

constexpr int kMaxHeaderDepth = 16;  // a valid header needs 3

/// The header's text, its length checked against the limit and the file.
std::string_view header_text(const std::filesystem::path& path, const MappedFile& file) {
  refuse_lfs_pointer(path, text_of(file));
  if (file.size < kLengthBytes) {
    refuse(path, fmt::format("has {} bytes, too few for the 8 bytes of header length", file.size));
  }
  std::uint64_t length = 0;
  std::memcpy(&length, file.data.get(), kLengthBytes);
  const std::string claim = fmt::format("header length is {}", length);
  if (length == 0) refuse(path, claim);
  if (length > kMaxHeaderBytes) refuse(path, fmt::format("{}, more than {}", claim, kMaxHeaderBytes));
  if (length > file.size - kLengthBytes) {
    refuse(path, fmt::format("{}, but the file has only {} bytes after it", claim, file.size - kLengthBytes));
  }
  const std::string_view text = text_of(file).substr(kLengthBytes, length);
  if (text.front() != '{') {
    refuse(path, fmt::format("header begins with byte {}, not with \"{{\"",
                             static_cast<unsigned char>(text.front())));
  }
  return text;
}

std::map<std::string, std::string> parse_metadata(const std::filesystem::path& path, const Json& value) {
  if (!value.is_object()) refuse(path, fmt::format("__metadata__ is {}, not an object", shown(value)));
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) {
      refuse(path, fmt::format("__metadata__ key {} is {}, not a string", shown(key), shown(text)));
    }
    metadata[key] = text.get<std::string>();
  }
  return metadata;
}

/// One tensor of the header: its bytes are data[begin, end).
struct Entry {
  std::string name;
  Dtype dtype = Dtype::f32;
  Shape shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;

  std::string offsets() const { return fmt::format("[{},{}]", begin, end); }
};

/// Parses and checks one entry by itself; the data has `data_size` bytes.
class EntryParser {
 public:
  EntryParser(const std::filesystem::path& path, const std::string& name, const Json& value)
      : path_(path), name_(name), value_(value) {}

  Entry parse(std::uint64_t data_size) const {
    if (!value_.is_object()) refuse_entry(fmt::format("is {}, not an object", shown(value_)));
    Entry entry;
    entry.name = name_;
    entry.dtype = dtype();
    const std::vector<std::int64_t> offsets = integers("data_offsets");
    entry.shape = integers("shape");
    if (offsets.size() != 2) {
      refuse_entry(fmt::format("data_offsets is {}, not two numbers", shown(value_.at("data_offsets"))));
    }
    entry.begin = static_cast<std::uint64_t>(offsets[0]);
    entry.end = static_cast<std::uint64_t>(offsets[1]);
    if (entry.begin > entry.end) {
      refuse_entry(fmt::format("data_offsets is {}: the end is before the begin", entry.offsets()));
    }
    if (entry.end > data_size) {
      refuse_entry(fmt::format("data_offsets is {}, past the {} bytes of data", entry.offsets(), data_size));
    }
    const std::uint64_t size = byte_size(entry);
    if (entry.end - entry.begin != size) {
      refuse_entry(fmt::format("data_offsets is {}, {} bytes, but dtype {} and shape {} need {}",
                               entry.offsets(), entry.end - entry.begin, safetensors_name(entry.dtype),
                               shown(value_.at("shape")), size));
    }
    return entry;
  }

 private:
  [[noreturn]] void refuse_entry(const std::string& what) const {
    refuse(path_, fmt::format("tensor {}: {}", shown(name_), what));
  }

  const Json& field(const char* key) const {
    const auto found = value_.find(key);
    if (found == value_.end()) refuse_entry(fmt::format("{} is missing", key));
    return *found;
  }

  Dtype dtype() const {
    const Json& text = field("dtype");
    if (!text.is_string()) refuse_entry(fmt::format("dtype is {}, not a string", shown(text)));
    try {
      return parse_safetensors_name(text.get_ref<const std::string&>());
    } catch (const FormatError&) {
      refuse_entry(
          fmt::format("dtype {} is not one of F64, F32, F16, BF16, I64, I32, U8, BOOL", shown(text)));
    }
  }

  std::vector<std::int64_t> integers(const char* key) const {
    const Json& list = field(key);
    if (!list.is_array()) refuse_entry(fmt::format("{} is {}, not an array", key, shown(list)));
    std::vector<std::int64_t> values;
    for (const Json& item : list) {
      // A number with a sign, a fraction or more than 64 bits is never `unsigned` to the parser.
      if (!item.is_number_unsigned() || item.get<std::uint64_t>() > INT64_MAX) {
        refuse_entry(
            fmt::format("{} is {}: {} is not an integer from 0 to 2^63 - 1", key, shown(list), shown(item)));
      }
      values.push_back(item.get<std::int64_t>());
    }
    return values;
  }

  std::uint64_t byte_size(const Entry& entry) const {
    try {
      // The size of the element as one more axis, so that the bytes are checked for overflow too.
      Shape bytes = entry.shape;
      bytes.push_back(static_cast<std::int64_t>(size_of(entry.dtype)));
      return static_cast<std::uint64_t>(element_count(bytes));
    } catch (const ShapeError&) {
      refuse_entry(fmt::format("shape is {}, more than 2^63 - 1 bytes", shown(value_.at("shape"))));
    }
  }

  const std::filesystem::path& path_;
  const std::string& name_;
  const Json& value_;
};

/// Throws unless the entries, sorted by offset, follow one another from 0 to `data_size`.
void require_exact_cover(const std::filesystem::path& path, std::vector<Entry>& entries,
                         std::uint64_t data_size) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  const Entry* last = nullptr;
  for (const Entry& entry : entries) {
    const std::uint64_t covered = last == nullptr ? 0 : last->end;
    const std::string claim =
        fmt::format("tensor {}: data_offsets is {}", shown(entry.name), entry.offsets());
    if (entry.begin < covered) {
      refuse(path,
             fmt::format("{}, which overlaps tensor {} at {}", claim, shown(last->name), last->offsets()));
    }
    if (entry.begin > covered) {
      refuse(path, fmt::format("{}, which leaves a gap: no tensor covers the bytes from {}", claim, covered));
    }
    last = &entry;
  }
  const std::uint64_t covered = last == nullptr ? 0 : last->end;
  if (covered != data_size) {
    refuse(path,
           fmt::format("the tensors end at byte {} of the data, which has {} bytes", covered, data_size));
  }
}

}  // namespace

SafetensorsFile read_safetensors(const std::filesystem::path& path) {
  const MappedFile file = map_file(path);
  const std::string_view text = header_text(path, file);
  const std::uint64_t data_begin = kLengthBytes + text.size();
  const std::uint64_t data_size = file.size - data_begin;

  const Json header = parse_json(text, fmt::format("{}: header", path.string()), kMaxHeaderDepth).value;
  SafetensorsFile result;
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name == kMetadataKey) {
      result.metadata = parse_metadata(path, value);
    } else {
      entries.push_back(EntryParser(path, name, value).parse(data_size));
    }
  }
  require_exact_cover(path, entries, data_size);
  for (const Entry& entry : entries) {
    const Array array(entry.dtype, entry.shape, file.view(data_begin + entry.begin));
    require_bool_bytes(path, entry.name, array);
    result.tensors.emplace(entry.name, array);
  }
  return result;
}

}  // namespace forgecheck
