"""scripts/lint.sh --changed: which sources clang-tidy is run on; with stand-ins for the tools, in a repository of its own."""
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = 64  # a sixteenth is 4


class Lint(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.tree = Path(folder.name) / "tree"
        self.tools = Path(folder.name) / "tools"
        for path in [self.tree / "scripts", self.tree / "reference", self.tools]:
            path.mkdir(parents=True)
        shutil.copy(ROOT / "scripts/lint.sh", self.tree / "scripts")
        self.tool("cmake", "true")
        self.tool("clang-format", "true")
        self.tool("clang-tidy", f'echo "${{@: -1}}" >> {folder.name}/seen')
        self.tool("date", "echo $((86400 * 3))")
        self.seen = Path(folder.name) / "seen"
        for i in range(FILES):
            (self.tree / f"reference/s{i:02}.cpp").write_text('#include "reference/h.h"\n' if i % 2 else "\n")
        (self.tree / "reference/h.h").write_text("\n")
        self.git("init", "-q", "-b", "main")
        self.commit()

    def tool(self, name, script):
        (self.tools / name).write_text("#!/bin/bash\n" + script + "\n")
        (self.tools / name).chmod(0o755)

    def git(self, *arguments):
        subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e", *arguments], cwd=self.tree, check=True,
                       capture_output=True)

    def commit(self, *names):
        for name in names:
            path = self.tree / name
            path.write_text((path.read_text() if path.exists() else "") + "// changed\n")
        self.git("add", "-A")
        self.git("commit", "-qm", "change")

    def tidied(self, *arguments):
        self.seen.unlink(missing_ok=True)
        environment = {**os.environ, "PATH": f"{self.tools}:{os.environ['PATH']}"}
        done = subprocess.run([self.tree / "scripts/lint.sh", *arguments], capture_output=True, text=True, env=environment,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("lint: no findings", done.stdout)
        return sorted(self.seen.read_text().split()) if self.seen.exists() else []

    def sixteenth_of_the_day(self):
        return [f"reference/s{i:02}.cpp" for i in range(FILES) if (i + 1) % 16 == 3]

    def test_without_an_option_every_source(self):
        self.assertEqual(len(self.tidied()), FILES)

    def test_what_a_branch_changes_since_it_left_main(self):
        self.git("checkout", "-qb", "topic")
        self.commit("reference/s04.cpp", "README.md")
        self.commit("reference/s06.cpp")
        self.assertEqual(self.tidied("--changed"), ["reference/s04.cpp", "reference/s06.cpp"])

    def test_what_is_not_committed_yet_counts(self):
        self.commit("README.md")
        (self.tree / "reference/s08.cpp").write_text("// changed\n")
        self.assertEqual(self.tidied("--changed"), ["reference/s08.cpp"])

    def test_on_main_what_the_last_commit_changes(self):
        self.commit("reference/s02.cpp")
        self.commit("reference/s04.cpp")
        self.assertEqual(self.tidied("--changed"), ["reference/s04.cpp"])

    def test_a_given_base(self):
        self.commit("reference/s02.cpp")
        self.commit("reference/s04.cpp")
        self.assertEqual(self.tidied("--changed", "HEAD~2"), ["reference/s02.cpp", "reference/s04.cpp"])

    def test_a_changed_header_by_one_source_that_includes_it(self):
        self.commit("reference/h.h")
        self.assertEqual(self.tidied("--changed"), ["reference/s01.cpp"])

    def test_no_change_of_a_source_is_nothing_to_do(self):
        self.commit("README.md")
        self.assertEqual(self.tidied("--changed"), [])

    def test_a_removed_source_is_passed_over(self):
        self.git("rm", "-q", "reference/s02.cpp")
        self.commit("reference/s04.cpp")
        self.assertEqual(self.tidied("--changed"), ["reference/s04.cpp"])

    def test_a_large_change_is_an_sixteenth_by_date(self):
        self.commit(*[f"reference/s{i:02}.cpp" for i in range(5)])
        self.assertEqual(self.tidied("--changed"), self.sixteenth_of_the_day())

    def test_without_a_base_it_is_an_sixteenth_by_date(self):
        self.git("branch", "-qm", "other")  # one commit, and no main
        self.assertEqual(self.tidied("--changed"), self.sixteenth_of_the_day())

    def test_a_complaint_fails(self):
        self.tool("clang-tidy", "exit 1")
        self.commit("reference/s02.cpp")
        done = subprocess.run([self.tree / "scripts/lint.sh", "--changed"], capture_output=True, check=False,
                              env={**os.environ, "PATH": f"{self.tools}:{os.environ['PATH']}"})
        self.assertNotEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main()
