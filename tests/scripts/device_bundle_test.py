"""scripts/device_bundle.sh, as far as it goes without a GPU: what it refuses, what it would run, and what it makes of
each outcome; with the emulator in the place of the device, and a stand-in for compute-sanitizer."""
import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = os.environ["FORGECHECK_BUILD"]
ON_A_DEVICE = os.environ["FORGECHECK_GPU"] == "cuda"


class DeviceBundle(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.results = self.folder / "results"
        self.environment = dict(os.environ)

    def bundle(self, *arguments, script=ROOT / "scripts/device_bundle.sh"):
        done = subprocess.run([script, *arguments], capture_output=True, text=True, check=False, env=self.environment)
        return done.returncode, done.stdout, done.stderr

    def on_emulator(self, *arguments):
        return self.bundle("--build", BUILD, "--backend", "gpu:simt", "--results", self.results, *arguments)

    def stand_in(self, script):
        """A compute-sanitizer of our own."""
        program = self.folder / "compute-sanitizer"
        program.write_text("#!/bin/sh\n" + script)
        program.chmod(0o755)
        self.environment["PATH"] = f"{self.folder}:{os.environ['PATH']}"

    def test_bad_usage_is_refused(self):
        for arguments, message in [(["--fast"], "--fast is not an option"), (["--results"], "--results needs a value"),
                                   (["--steps", "tests speed"], "--steps: speed is not a step")]:
            status, _, said = self.bundle(*arguments)
            self.assertEqual((status, said.count("\n")), (2, 1))
            self.assertIn(message, said)

    def test_a_dry_run_names_every_step(self):
        status, said, _ = self.bundle("--build", BUILD, "--dry-run", "--filter", "mha")
        self.assertEqual(status, 0)
        for step in ["tests test_gpu: ", "verify on gpu:cuda: ", "sanitize memcheck: ", "sanitize racecheck: ",
                     "sanitize initcheck: ", "sanitize synccheck: ", "golden record: ", "golden verify: ",
                     "bench on gpu:cuda: "]:
            self.assertIn("\n" + step, "\n" + said)
        self.assertIn("--gtest_filter=*mha*", said)

    def test_without_a_device_it_says_why_and_runs_nothing(self):
        status, _, said = self.bundle("--build", BUILD, "--results", self.results)
        self.assertEqual(status, 3)
        self.assertRegex(said, r"^device_bundle: no GPU to run on: (this build has|no device can be used|this machine has)[^\]]*\n$")
        self.assertFalse(self.results.exists())

    @unittest.skipIf(ON_A_DEVICE, "needs the emulator")
    def test_goldens_are_recorded_and_verified(self):
        status, said, _ = self.on_emulator("--steps", "verify golden", "--filter", "dense/one_head")
        self.assertEqual(status, 0, said)
        self.assertEqual((self.results / "summary.txt").read_text(),
                         "ok      verify on gpu:simt\nok      golden record\nok      golden verify\n")
        for file in ["machine.txt", "verify.json", "verify.html", "golden/device/dense/one_head.safetensors"]:
            self.assertTrue((self.results / file).is_file(), file)

    @unittest.skipIf(ON_A_DEVICE, "needs the emulator")
    def test_a_case_of_the_bench_is_measured(self):
        status, said, _ = self.on_emulator("--steps", "bench", "--filter", "tiny")
        self.assertEqual(status, 0, said)
        measured = json.loads((self.results / "bench.json").read_text())["cases"]
        self.assertEqual([(case["case"], case["backends"][0]["backend"]) for case in measured], [("tiny", "gpu:simt")])

    @unittest.skipIf(ON_A_DEVICE, "needs the emulator")
    def test_every_sanitizer_is_asked_and_its_finding_is_a_failure(self):
        self.stand_in('echo "$@"; [ "$2" != initcheck ] || exit 9\n')
        status, _, _ = self.on_emulator("--steps", "sanitize")
        self.assertEqual(status, 1)
        summary = (self.results / "summary.txt").read_text()
        self.assertEqual([line.split()[0:3] for line in summary.splitlines()],
                         [["ok", "sanitize", "memcheck"], ["ok", "sanitize", "racecheck"],
                          ["FAILED", "sanitize", "initcheck"], ["ok", "sanitize", "synccheck"]])
        self.assertIn("--tool synccheck --error-exitcode 9", (self.results / "sanitize/synccheck.log").read_text())

    @unittest.skipIf(ON_A_DEVICE, "needs the emulator")
    def test_a_skipped_test_is_a_failure(self):
        self.stand_in('echo "[  SKIPPED ] GpuTest.Some"\n')
        status, said, _ = self.on_emulator("--steps", "sanitize")
        self.assertEqual(status, 1)
        self.assertIn("FAILED  sanitize memcheck (skipped)", said)

    @unittest.skipUnless(ON_A_DEVICE, "needs the preset cuda")
    def test_a_packed_tree_runs_elsewhere(self):
        archive = self.folder / "bundle.tar.gz"
        status, said, wrong = self.bundle("--pack", archive)
        self.assertEqual(status, 0, said + wrong)
        subprocess.run(["tar", "-C", self.folder, "-xzf", archive], check=True)
        tree = self.folder / "forgecheck-device"
        self.assertEqual((tree / "lib/built_at").read_text(), f"{ROOT}\n")
        status, _, wrong = self.bundle("--results", self.results, script=tree / "scripts/device_bundle.sh")
        self.assertEqual(status, 3)
        self.assertIn("device_bundle: no GPU to run on: no device can be used: ", wrong)


if __name__ == "__main__":
    unittest.main()
