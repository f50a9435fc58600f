#include "harness/io/scratch_folder.h"

#include <cstdlib>
#include <string>

#include "reference/error.h"

namespace forgecheck {

ScratchFolder::ScratchFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "forgecheck-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw FormatError(name + ": the folder cannot be made");
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace forgecheck
