// The manual page and the completion: what they list is what the program has.
#include <array>
#include <cstdio>
#include <memory>

#include "tests/harness/cli/program.h"

namespace forgecheck {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using Manual = ProgramTest;

TEST_F(Manual, HasEveryCommandWithItsOptionsAndExample) {
  const std::string page = run({"manual"}).out;
  EXPECT_THAT(page, StartsWith(".TH FORGECHECK 1 "));
  EXPECT_THAT(page,
              AllOf(HasSubstr("\n.SS forgecheck verify\n"), HasSubstr("\n.SS forgecheck golden record\n"),
                    HasSubstr("\n.B \\-\\-gpu\\-runs \\fIVALUE\\fR\n"), HasSubstr("\n.B \\-\\-strict\n"),
                    HasSubstr("\n.B CASE\n"), HasSubstr("Example:\n  forgecheck verify \\-\\-filter ")));
  EXPECT_THAT(page, Not(HasSubstr("\n.SS forgecheck golden\n")));  // a group, which does nothing itself
  EXPECT_THAT(page, Not(HasSubstr("plugin")));                     // the process of a plugin
}

class Completion : public ProgramTest {
 protected:
  /// What bash offers for the last of the words.
  std::string offered(const std::vector<std::string>& words) const {
    write("words.sh", run({"completion"}).out + "COMP_WORDS=(forgecheck " + joined(words) +
                          "); COMP_CWORD=" + std::to_string(words.size()) + "; _forgecheck\n" +
                          "printf '%s ' \"${COMPREPLY[@]}\"\n");
    return run_script("words.sh");
  }

 private:
  static std::string joined(const std::vector<std::string>& words) {
    std::string line;
    for (const std::string& word : words) line += " '" + word + "'";
    return line;
  }
  std::string run_script(const std::string& name) const {
    const std::string command = "cd '" + at("").string() + "' && bash --norc " + name + " 2>&1";
    std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
    std::string text;
    std::array<char, 256> part{};
    while (fgets(part.data(), static_cast<int>(part.size()), pipe.get()) != nullptr) text += part.data();
    return text;
  }
};

TEST_F(Completion, OffersCommandsThenOptionsThenFiles) {
  write("mine.safetensors", "");
  EXPECT_EQ(offered({"ver"}), "verify ");
  EXPECT_EQ(offered({"golden", "re"}), "record ");
  EXPECT_EQ(offered({"verify", "--gpu"}), "--gpu-runs ");
  EXPECT_EQ(offered({"verify", "--golden", "x", "--sh"}), "--shard ");
  EXPECT_EQ(offered({"golden", "record", "--rand"}), "--random ");
  EXPECT_EQ(offered({"report", "merge", "--ex"}), "--expect ");
  EXPECT_EQ(offered({"compare", "min"}), "mine.safetensors ");
}

}  // namespace
}  // namespace forgecheck
