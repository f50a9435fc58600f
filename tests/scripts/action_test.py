"""The step of action.yml that runs forgecheck, run as GitHub would."""

import os
import re
import subprocess
import tempfile
import textwrap
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("FORGECHECK_BUILD", ROOT / "build" / "dev"))
ACTION = (ROOT / "action.yml").read_text()


def verify_step():
    """The script of the step Verify, and the input that each of its variables is."""
    step = ACTION[ACTION.index("- name: Verify"):ACTION.index("- name: Keep the report")]
    variables = dict(re.findall(r"^ +([A-Z]+): \$\{\{ inputs\.(\w+) \}\}$", step, re.MULTILINE))
    return textwrap.dedent(step[step.index("run: |\n") + len("run: |\n"):]), variables


def defaults():
    inputs = ACTION[ACTION.index("inputs:"):ACTION.index("runs:")]
    return dict(re.findall(r"^  (\w+):\n.*\n    default: \"?([^\"\n]*)\"?$", inputs, re.MULTILINE))


class Action(unittest.TestCase):
    def run_step(self, **given):
        script, variables = verify_step()
        values = {**defaults(), **given}
        with tempfile.TemporaryDirectory() as name:
            environment = {**os.environ, **{variable: values[key] for variable, key in variables.items()},
                           "PATH": f"{BUILD}:{os.environ['PATH']}", "GITHUB_ACTIONS": "true"}
            (Path(name) / "golden").symlink_to(ROOT / "golden")
            done = subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script], cwd=name,
                                  env=environment, capture_output=True, text=True)
            return done, sorted(path.name for path in Path(name).glob("*/report.*") if path.is_file())

    def test_every_input_is_used(self):
        self.assertEqual(defaults().keys(), set(re.findall(r"inputs\.(\w+)", ACTION)))

    def test_it_judges_the_traces_and_writes_every_form(self):
        done, files = self.run_step(filter="kempnerforge/dense/relu\nkempnerforge/dense/odd_sizes")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(" 2 traces in", done.stdout)
        self.assertEqual(files, ["report.html", "report.json", "report.xml"])

    def test_backends_shards_and_strictness_reach_the_program(self):
        done, _ = self.run_step(filter="kempnerforge/dense", backend="reference\ncpu:openblas", shard="2/9", strict="true")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("cpu:openblas", done.stdout)
        self.assertIn("\n3 goldens, 9 traces", done.stdout)  # a ninth of 27, each by two backends

    def test_a_failure_fails_the_step(self):
        done, files = self.run_step(filter="kempnerforge/gradients", backend="exec:false")
        self.assertEqual(done.returncode, 0, done.stdout)  # gradients are not judged, so nothing runs
        done, files = self.run_step(filter="kempnerforge/dense/relu", backend="exec:false")
        self.assertEqual(done.returncode, 1)
        self.assertIn("::error file=golden/kempnerforge/dense/relu.safetensors", done.stdout)
        self.assertEqual(files, ["report.html", "report.json", "report.xml"])


if __name__ == "__main__":
    unittest.main()
