"""scripts/record_kempnerforge.py: what it refuses; and, where PyTorch and KempnerForge are installed, that it records
what the repository holds."""
import importlib.util
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/record_kempnerforge.py"
RECORDED = ROOT / "golden/kempnerforge"
INSTALLED = all(importlib.util.find_spec(name) for name in ("torch", "safetensors", "kempnerforge"))


def run(*arguments):
    return subprocess.run([sys.executable, "-B", str(SCRIPT), *map(str, arguments)], capture_output=True, text=True)


class BadUsage(unittest.TestCase):
    def refused(self, arguments, words):
        outcome = run(*arguments)
        self.assertEqual(outcome.returncode, 2, outcome.stderr)
        for word in words:
            self.assertIn(word, outcome.stderr)

    def test_the_source_must_be_a_folder(self):
        self.refused(["no_such_folder", "out"], ["no_such_folder"])

    def test_the_source_is_not_overwritten(self):
        self.refused([RECORDED, RECORDED], ["OUT is IN"])

    def test_at_least_one_process_is_needed(self):
        self.refused([RECORDED, "out", "--jobs", "0"], ["--jobs 0"])

    @unittest.skipIf(INSTALLED, "KempnerForge is installed")
    def test_what_cannot_be_imported_is_named(self):
        self.refused([RECORDED, "out"], ["cannot import"])


@unittest.skipUnless(INSTALLED, "needs torch, safetensors and kempnerforge")
class Recordings(unittest.TestCase):
    def test_are_those_of_the_repository(self):
        from safetensors.torch import load_file

        # Another processor's matrix products round otherwise: one family here, to float32's error.
        with tempfile.TemporaryDirectory() as out:
            outcome = run(RECORDED / "moe", out)
            self.assertEqual(outcome.returncode, 0, outcome.stderr)
            recorded = sorted(RECORDED.glob("moe/*.safetensors"))
            self.assertTrue(recorded)
            for path in recorded:
                expected, found = load_file(path), load_file(Path(out) / path.name)
                self.assertEqual(set(expected), set(found), path)
                for name, tensor in expected.items():
                    self.assertLess((tensor.double() - found[name].double()).abs().max().item(), 1e-4, f"{path} {name}")


if __name__ == "__main__":
    unittest.main()
