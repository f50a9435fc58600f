"""Recordings are the same to the byte with any number of threads and without optimisation, and a program whose bytes depend on
it is found."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("FORGECHECK_BUILD", ROOT / "build" / "dev")) / "forgecheck"
OTHER = """#!/bin/sh
{program} "$@"
for folder; do :; done
echo "$OMP_NUM_THREADS" > "$folder/threads"
"""


def same_bytes(*programs):
    return subprocess.run([ROOT / "scripts/same_bytes.sh", *programs], capture_output=True, check=False, text=True)


@unittest.skipIf(os.environ.get("FORGECHECK_GPU", "simt") != "simt", "the emulator is in builds that have it")
class SameBytes(unittest.TestCase):
    def test_of_every_deterministic_backend(self):
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder) / "forgecheck"
            subprocess.run([ROOT / "scripts/rebuild_reference.py", "--build", PROGRAM.parent, "--out", plain, "--", "-O0"],
                           capture_output=True, check=True)
            outcome = same_bytes(PROGRAM, plain)
        self.assertEqual(outcome.returncode, 0, outcome.stdout + outcome.stderr)
        self.assertEqual(outcome.stdout, "same_bytes: 160 files, 4 times the same bytes\n")

    def test_a_program_that_differs_is_found(self):
        with tempfile.TemporaryDirectory() as folder:
            other = Path(folder) / "other"
            other.write_text(OTHER.format(program=PROGRAM))
            other.chmod(0o755)
            outcome = same_bytes(other)
        self.assertEqual(outcome.returncode, 1)
        self.assertIn("with 2 threads records other bytes", outcome.stderr)

    def test_a_program_that_fails_is_no_success(self):
        self.assertEqual(same_bytes("/bin/false").returncode, 1)
        self.assertEqual(same_bytes().returncode, 2)


if __name__ == "__main__":
    unittest.main()
