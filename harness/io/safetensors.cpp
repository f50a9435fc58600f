#include "harness/io/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "reference/error.h"

namespace forgecheck {

namespace {

using Json = nlohmann::json;

static_assert(std::endian::native == std::endian::little, "safetensors data is little endian");

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the official library's limit
constexpr int kMaxDepth = 16;                           // a valid header needs 3
constexpr std::string_view kMetadataKey = "__metadata__";

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& what) {
  throw FormatError(path.string() + ": " + what);
}

[[noreturn]] void refuse_errno(const std::filesystem::path& path, const std::string& what) {
  refuse(path, what + ": " + std::strerror(errno));
}

std::string shortened(const std::string& text) {
  std::size_t end = 120;
  if (text.size() <= end) return text;
  while ((text[end] & 0xc0) == 0x80) --end;  // not inside a UTF-8 sequence
  return text.substr(0, end) + "...";
}

/// JSON text of a value for a message: strings come quoted and escaped.
std::string shown(const Json& value) {
  return shortened(value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

/// A file descriptor that is closed at the end of its scope.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }

  int number() const { return number_; }
  /// Closes now; false where the last writes failed.
  bool close() { return ::close(std::exchange(number_, -1)) == 0; }

 private:
  int number_;
};

// ---- reading ----

struct Mapping {
  std::shared_ptr<const std::byte> data;
  std::uint64_t size = 0;

  /// A view from `offset` on, which keeps the mapping alive.
  std::shared_ptr<const std::byte> view(std::uint64_t offset) const { return {data, data.get() + offset}; }
};

Mapping map_file(const std::filesystem::path& path) {
  // O_NONBLOCK: a named pipe must be refused, not waited for.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.number() < 0) refuse_errno(path, "cannot be opened");
  struct stat status {};
  if (::fstat(file.number(), &status) != 0) refuse_errno(path, "cannot be read");
  if (S_ISDIR(status.st_mode)) {
    errno = EISDIR;
    refuse_errno(path, "cannot be read");
  }
  if (!S_ISREG(status.st_mode)) refuse(path, "is not a regular file");
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size < kLengthBytes) {
    refuse(path, "has " + std::to_string(size) + " bytes, too few for the 8 bytes of header length");
  }
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.number(), 0);
  if (address == MAP_FAILED) refuse_errno(path, "cannot be mapped");
  const auto unmap = [size](const std::byte* data) { ::munmap(const_cast<std::byte*>(data), size); };
  return {std::shared_ptr<const std::byte>(static_cast<const std::byte*>(address), unmap), size};
}

/// The header's text, its length checked against the limit and the file.
std::string_view header_text(const std::filesystem::path& path, const Mapping& file) {
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

/// Throws unless every byte of a BOOL array is 0 or 1.
void require_bool_bytes(const std::filesystem::path& path, const std::string& name, const Array& array) {
  if (array.dtype() != Dtype::boolean) return;
  const std::span<const std::byte> bytes = array.bytes();
  const auto wrong = std::find_if(bytes.begin(), bytes.end(), [](std::byte b) { return b > std::byte{1}; });
  if (wrong != bytes.end()) {
    refuse(path, "tensor " + shown(name) + ": BOOL element " + std::to_string(wrong - bytes.begin()) +
                     " is " + std::to_string(std::to_integer<int>(*wrong)) + ", not 0 or 1");
  }
}

// ---- writing ----

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
      refuse(path, "tensor " + shown(item.first) + " has a shape but no data");
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
      text += Json(name).dump() + ":{\"dtype\":" + Json(safetensors_name(array.dtype())).dump() +
              ",\"shape\":" + Json(array.shape()).dump() + ",\"data_offsets\":" + Json({offset, end}).dump() +
              "}";
      offset = end;
    }
  } catch (const Json::exception&) {
    refuse(path, "a tensor name or a metadata text is not valid UTF-8");
  }
  text += '}';
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > kMaxHeaderBytes) {
    refuse(path, "header length would be " + std::to_string(text.size()) + ", more than " +
                     std::to_string(kMaxHeaderBytes));
  }
  const std::uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), kLengthBytes) + text;
}

/// A new file beside `path` that is removed again unless it takes path's place.
class Replacement {
 public:
  explicit Replacement(const std::filesystem::path& path) : path_(path), file_(create()) {}
  ~Replacement() {
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
  }
  Replacement(const Replacement&) = delete;
  Replacement& operator=(const Replacement&) = delete;

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::write(file_.number(), bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) refuse_errno(path_, "cannot be written");
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
  }

  void commit() {
    if (::fsync(file_.number()) != 0 || !file_.close()) refuse_errno(path_, "cannot be written");
    if (std::rename(temporary_.c_str(), path_.c_str()) != 0) refuse_errno(path_, "cannot be replaced");
    temporary_.clear();
  }

 private:
  /// Names of this process, numbered: threads never share one, and what a killed process left is passed over.
  int create() {
    static std::atomic<unsigned> next{0};
    for (;;) {
      temporary_ = path_;
      temporary_ += ".tmp." + std::to_string(::getpid()) + "." + std::to_string(next++);
      const int file = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (file >= 0) return file;
      if (errno != EEXIST) {
        temporary_.clear();
        refuse_errno(path_, "cannot be created");
      }
    }
  }

  const std::filesystem::path& path_;
  std::filesystem::path temporary_;
  Descriptor file_;
};

}  // namespace

SafetensorsFile read_safetensors(const std::filesystem::path& path) {
  const Mapping file = map_file(path);
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

void write_safetensors(const std::filesystem::path& path, const std::map<std::string, Array>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const std::vector<const NamedArray*> ordered = in_file_order(path, tensors);
  const std::string head = file_head(path, ordered, metadata);
  Replacement file(path);
  file.write(std::as_bytes(std::span(head)));
  for (const NamedArray* item : ordered) file.write(item->second.bytes());
  file.commit();
}

}  // namespace forgecheck
