"""What `cmake --install` puts in place works from any folder, and the emulator's CMake package builds a program."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("FORGECHECK_BUILD", ROOT / "build" / "dev"))
PROJECT = """cmake_minimum_required(VERSION 3.25)
project(user LANGUAGES CXX)
find_package(forgecheck REQUIRED)
set_source_files_properties({example} PROPERTIES LANGUAGE CXX)
add_executable(user {example})
target_link_libraries(user PRIVATE forgecheck::simt)
"""


def run(*command, cwd):
    return subprocess.run([str(word) for word in command], cwd=cwd, check=True, capture_output=True, text=True).stdout


@unittest.skipIf(os.environ.get("FORGECHECK_GPU", "simt") != "simt", "the emulator is installed from builds that have it")
class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.here = Path(cls.folder.name)
        cls.prefix = cls.here / "usr"
        run("cmake", "--install", BUILD, "--prefix", cls.prefix, cwd=cls.here)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_the_program_finds_its_goldens(self):
        text = run(self.prefix / "bin/forgecheck", "verify", "--filter", "kempnerforge/dense/relu", "--backend", "reference",
                   cwd=self.here)
        self.assertIn("1 golden, 2 traces", text)
        self.assertIn(": 2 match", text)

    def test_a_plugin_is_compiled_with_the_installed_header(self):
        plugin = self.here / "plugin.so"
        run("cc", "-shared", "-fPIC", "-I", self.prefix / "include/forgecheck", ROOT / "examples/plugin.c", "-o", plugin, "-lm",
            cwd=self.here)
        text = run(self.prefix / "bin/forgecheck", "verify", "--filter", "kempnerforge/dense/mha", "--backend",
                   f"plugin:{plugin}", cwd=self.here)
        self.assertIn(": 4 match", text)

    def test_without_goldens_it_says_so(self):
        (self.here / "alone").mkdir()
        program = self.here / "alone" / "forgecheck"
        program.write_bytes((self.prefix / "bin/forgecheck").read_bytes())
        program.chmod(0o755)
        done = subprocess.run([program, "verify"], cwd=self.here, capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--golden: there is no folder golden here, and none came with the program", done.stderr)
        # Recording cases of one's own needs none.
        (self.here / "cases.txt").write_text("one dense[dim=8,n_layers=1,n_heads=2,vocab_size=11]/text_len=3/seed=1\n")
        self.assertIn("1 cases recorded", run(program, "golden", "record", "--cases", "cases.txt", cwd=self.here))

    def test_a_program_links_to_the_emulator_without_its_warnings(self):
        source = self.here / "user"
        source.mkdir()
        (source / "CMakeLists.txt").write_text(PROJECT.format(example=ROOT / "gpu/simt/examples/missing_barrier.cu"))
        run("cmake", "-S", source, "-B", source / "build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={self.prefix}",
            "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", cwd=self.here)
        run("cmake", "--build", source / "build", cwd=self.here)
        shown = subprocess.run([source / "build/user"], capture_output=True, text=True).stdout  # finds a mistake: fails
        self.assertIn("without the barrier", shown)
        commands = (source / "build/compile_commands.json").read_text()
        self.assertNotIn("-Werror", commands)
        self.assertNotIn(str(ROOT / "gpu/simt/include"), commands)


if __name__ == "__main__":
    unittest.main()
