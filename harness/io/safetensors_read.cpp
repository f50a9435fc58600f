// The reader: header text, its entries one by one, then all of them against the data.
#include <algorithm>
#include <cstring>
#include <set>
#include <tuple>
#include <vector>

#include "harness/io/mapped_file.h"
#include "harness/io/safetensors.h"
#include "harness/io/safetensors_format.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

using namespace safetensors;
using Json = nlohmann::json;

constexpr int kMaxDepth = 16;  // a valid header needs 3

/// The header's text, its length checked against the limit and the file.
std::string_view header_text(const std::filesystem::path& path, const MappedFile& file) {
  if (file.size < kLengthBytes) {
    refuse(path, "has " + std::to_string(file.size) + " bytes, too few for the 8 bytes of header length");
  }
  std::uint64_t length = 0;
  std::memcpy(&length, file.data.get(), kLengthBytes);
  const std::string claim = "header length is " + std::to_string(length);
  if (length == 0) refuse(path, claim);
  if (length > kMaxHeaderBytes) refuse(path, claim + ", more than " + std::to_string(kMaxHeaderBytes));
  if (length > file.size - kLengthBytes) {
    refuse(path,
           claim + ", but the file has only " + std::to_string(file.size - kLengthBytes) + " bytes after it");
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data.get()) + kLengthBytes, length);
  if (text.front() != '{') {
    refuse(path, "header begins with byte " + std::to_string(static_cast<unsigned char>(text.front())) +
                     ", not with \"{\"");
  }
  // The parser would take a NUL byte for the end of the text and ignore what follows.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    refuse(path, "header has a NUL byte at offset " + std::to_string(nul));
  }
  return text;
}

Json parse_header(const std::filesystem::path& path, std::string_view text) {
  std::vector<std::set<std::string>> keys;  // of each object that is open
  const auto check = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kMaxDepth) {
      refuse(path, "header is nested more than " + std::to_string(kMaxDepth) + " levels deep");
    }
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second) {
      refuse(path, "header has the key " + shown(parsed) + " twice in one object");
    }
    return true;
  };
  try {
    return Json::parse(text.begin(), text.end(), check);
  } catch (const Json::exception& error) {
    std::string reason = error.what();  // "[json.exception.parse_error.101] parse error at line 1, ..."
    if (const std::size_t end = reason.find("] "); end != std::string::npos) reason.erase(0, end + 2);
    refuse(path, "header is not valid JSON: " + shortened(reason));
  }
}

std::map<std::string, std::string> parse_metadata(const std::filesystem::path& path, const Json& value) {
  if (!value.is_object()) refuse(path, "__metadata__ is " + shown(value) + ", not an object");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) {
      refuse(path, "__metadata__ key " + shown(key) + " is " + shown(text) + ", not a string");
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

  std::string offsets() const { return "[" + std::to_string(begin) + "," + std::to_string(end) + "]"; }
};

/// Parses and checks one entry by itself; the data has `data_size` bytes.
class EntryParser {
 public:
  EntryParser(const std::filesystem::path& path, const std::string& name, const Json& value)
      : path_(path), name_(name), value_(value) {}

  Entry parse(std::uint64_t data_size) const {
    if (!value_.is_object()) refuse_entry("is " + shown(value_) + ", not an object");
    Entry entry;
    entry.name = name_;
    entry.dtype = dtype();
    const std::vector<std::int64_t> offsets = integers("data_offsets");
    entry.shape = integers("shape");
    if (offsets.size() != 2) {
      refuse_entry("data_offsets is " + shown(value_.at("data_offsets")) + ", not two numbers");
    }
    entry.begin = static_cast<std::uint64_t>(offsets[0]);
    entry.end = static_cast<std::uint64_t>(offsets[1]);
    if (entry.begin > entry.end) {
      refuse_entry("data_offsets is " + entry.offsets() + ": the end is before the begin");
    }
    if (entry.end > data_size) {
      refuse_entry("data_offsets is " + entry.offsets() + ", past the " + std::to_string(data_size) +
                   " bytes of data");
    }
    const std::uint64_t size = byte_size(entry);
    if (entry.end - entry.begin != size) {
      refuse_entry("data_offsets is " + entry.offsets() + ", " + std::to_string(entry.end - entry.begin) +
                   " bytes, but dtype " + std::string(safetensors_name(entry.dtype)) + " and shape " +
                   shown(value_.at("shape")) + " need " + std::to_string(size));
    }
    return entry;
  }

 private:
  [[noreturn]] void refuse_entry(const std::string& what) const {
    refuse(path_, "tensor " + shown(name_) + ": " + what);
  }

  const Json& field(const char* key) const {
    const auto found = value_.find(key);
    if (found == value_.end()) refuse_entry(std::string(key) + " is missing");
    return *found;
  }

  Dtype dtype() const {
    const Json& text = field("dtype");
    if (!text.is_string()) refuse_entry("dtype is " + shown(text) + ", not a string");
    try {
      return parse_safetensors_name(text.get_ref<const std::string&>());
    } catch (const FormatError&) {
      refuse_entry("dtype " + shown(text) + " is not one of F64, F32, F16, BF16, I64, I32, U8, BOOL");
    }
  }

  std::vector<std::int64_t> integers(const char* key) const {
    const Json& list = field(key);
    if (!list.is_array()) refuse_entry(std::string(key) + " is " + shown(list) + ", not an array");
    std::vector<std::int64_t> values;
    for (const Json& item : list) {
      // A number with a sign, a fraction or more than 64 bits is never `unsigned` to the parser.
      if (!item.is_number_unsigned() || item.get<std::uint64_t>() > INT64_MAX) {
        refuse_entry(std::string(key) + " is " + shown(list) + ": " + shown(item) +
                     " is not an integer from 0 to 2^63 - 1");
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
      refuse_entry("shape is " + shown(value_.at("shape")) + ", more than 2^63 - 1 bytes");
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
    const std::string claim = "tensor " + shown(entry.name) + ": data_offsets is " + entry.offsets();
    if (entry.begin < covered) {
      refuse(path, claim + ", which overlaps tensor " + shown(last->name) + " at " + last->offsets());
    }
    if (entry.begin > covered) {
      refuse(path,
             claim + ", which leaves a gap: no tensor covers the bytes from " + std::to_string(covered));
    }
    last = &entry;
  }
  const std::uint64_t covered = last == nullptr ? 0 : last->end;
  if (covered != data_size) {
    refuse(path, "the tensors end at byte " + std::to_string(covered) + " of the data, which has " +
                     std::to_string(data_size) + " bytes");
  }
}

}  // namespace

SafetensorsFile read_safetensors(const std::filesystem::path& path) {
  const MappedFile file = map_file(path);
  const std::string_view text = header_text(path, file);
  const std::uint64_t data_begin = kLengthBytes + text.size();
  const std::uint64_t data_size = file.size - data_begin;

  const Json header = parse_header(path, text);
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
