"""What a random mutant counts as, and that a sample repeats."""

import contextlib
import io
import itertools
import sys
import tempfile
import time
import unittest
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import mutate_random
from mutate_random import Outcome
from mutation import BuildError, TableError
from mutation_sites import Site

SITE = Site("harness/verdict/x.cpp", 3, "comparison", "  if (a < b) {", "  if (a <= b) {")


class FakeBuild:
    """Compiles every mutant to bytes of its text; `same`: to the same bytes always."""

    def __init__(self, same=False, builds=True, without=None):
        self.same, self.builds, self.without, self.folder = same, builds, without, Path("/build")

    def compile(self, mutant, programs, folder, *_):
        if not self.builds:
            raise BuildError("does not build")
        target = folder / "mutant_0.o"
        target.write_text("the same" if self.same else mutant.new)
        return {"x.o": str(target)}

    def objects(self, file, program):
        return [] if program == self.without else ["x.o"]


def outcome(build, caught_by=None, equivalent=()):
    mutant = mutate_random.Mutant(SITE, "x.cpp:3", SITE.file, "honest", "mutated")
    with mock.patch.object(mutate_random, "catches", lambda _b, _m, _o, program, _f: program == caught_by), \
            mock.patch.object(mutate_random, "mutant_of", lambda _: mutant):
        return mutate_random.run(build, SITE, equivalent)


class Outcomes(unittest.TestCase):
    def test_a_program_that_fails_catches_it(self):
        for program in ("test_harness_verdict", "test_gpu", "forgecheck"):
            self.assertEqual(outcome(FakeBuild(), program), Outcome("caught", program))

    def test_what_passes_everything_survives(self):
        self.assertEqual(outcome(FakeBuild()), Outcome("survived"))

    def test_a_program_without_the_file_is_not_run(self):
        self.assertEqual(outcome(FakeBuild(without="tests/gpu/test_gpu_simt"), "test_gpu_simt"), Outcome("survived"))

    def test_the_same_object_is_the_same_program(self):
        self.assertEqual(outcome(FakeBuild(same=True)), Outcome("same"))

    def test_a_reviewed_line_is_not_run(self):
        reviewed = {(SITE.file, "if (a < b) {", "if (a <= b) {"): "a is never b"}
        self.assertEqual(outcome(FakeBuild(builds=False), equivalent=reviewed), Outcome("reviewed"))

    def test_what_does_not_build_is_no_mutant(self):
        self.assertEqual(outcome(FakeBuild(builds=False)), Outcome("does not build"))

    def test_what_does_not_link_is_no_mutant(self):
        mutant = mutate_random.Mutant(SITE, "x.cpp:3", SITE.file, "honest", "mutated")
        with mock.patch.object(mutate_random, "catches", mock.Mock(side_effect=BuildError("does not link"))), \
                mock.patch.object(mutate_random, "mutant_of", lambda _: mutant):
            self.assertEqual(mutate_random.run(FakeBuild(), SITE, ()), Outcome("does not build"))

    def test_the_folder_s_own_tests_run_first_and_all_others_after_them(self):
        for file, own in [("harness/io/x.cpp", "test_harness_io"), ("reference/ops/x.cpp", "test_reference"),
                          ("gpu/ops/x.cu", "test_gpu"), ("gpu/simt/x.cpp", "test_gpu_simt"), ("harness/cli/x.cpp", "forgecheck")]:
            programs = mutate_random.programs_for(file)
            self.assertEqual(programs[0], own)
            self.assertEqual(set(programs), set(mutate_random.PROGRAMS))


class Programs(unittest.TestCase):
    def test_one_that_fails_or_hangs_does_not_pass(self):
        self.assertTrue(mutate_random.passes(["true"], Path()))
        self.assertFalse(mutate_random.passes(["false"], Path()))
        self.assertTrue(mutate_random.passes(["sh", "-c", "test $X = 1"], Path(), {"X": "1"}))
        with mock.patch.object(mutate_random, "TIME_LIMIT", 0.1), contextlib.redirect_stdout(io.StringIO()) as text:
            self.assertFalse(mutate_random.passes(["sleep", "60"], Path()))
        self.assertIn("over 0.1 s: sleep", text.getvalue())

    def test_a_processor_that_is_busy_for_ever_is_stopped(self):
        with mock.patch.object(mutate_random, "PROCESSOR_LIMIT", 1):
            self.assertTrue(mutate_random.passes(["sleep", "2"], Path()))
            self.assertFalse(mutate_random.passes(["sh", "-c", "while :; do :; done"], Path()))

    def test_what_one_that_hangs_has_started_ends_with_it(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(mutate_random, "TIME_LIMIT", 2), \
                contextlib.redirect_stdout(io.StringIO()):
            mutate_random.passes(["sh", "-c", "sleep 60 & echo $! > child; wait"], folder)
            child = int(Path(folder, "child").read_text())
            deadline = time.monotonic() + 10
            while is_running(child) and time.monotonic() < deadline:
                time.sleep(0.05)
            self.assertFalse(is_running(child))


def is_running(process):
    """False for one that has ended, even if nobody has asked for its exit status."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Samples(unittest.TestCase):
    def sample(self, outcomes, runs=4):
        options = SimpleNamespace(folder="harness/verdict", seed=1, runs=runs, jobs=1)
        drawn = itertools.cycle(outcomes)
        text = io.StringIO()
        with mock.patch.object(mutate_random, "run", lambda *_: next(drawn)), contextlib.redirect_stdout(text):
            return mutate_random.sample(None, options, {}), text.getvalue()

    def test_mutants_that_do_not_build_are_drawn_anew(self):
        counts, _ = self.sample([Outcome("does not build"), Outcome("caught", "test_a"), Outcome("survived")])
        self.assertEqual(counts.total(), 4)
        self.assertEqual(counts["does not build"], 0)

    def test_a_survivor_is_shown_with_its_line(self):
        _, text = self.sample([Outcome("survived")], runs=1)
        self.assertRegex(text, r"^harness/verdict/\w+\.cpp:\d+ \w+: survived\n    - .*\n    \+ .*\n$")

    def test_a_seed_repeats_the_sample(self):
        first = list(itertools.islice(mutate_random.draws("harness/verdict", 5), 20))
        self.assertEqual(first, list(itertools.islice(mutate_random.draws("harness/verdict", 5), 20)))
        self.assertNotEqual(first, list(itertools.islice(mutate_random.draws("harness/verdict", 6), 20)))
        self.assertEqual(len({(site.file, site.line) for site in first}), 20)

    def test_the_changed_line_is_the_only_change(self):
        site = next(mutate_random.draws("harness/io", 3))
        mutant = mutate_random.mutant_of(site)
        old, new = mutant.old.splitlines(), mutant.new.splitlines()
        self.assertEqual([i for i, (a, b) in enumerate(zip(old, new), 1) if a != b], [site.line])
        self.assertEqual(len(old), len(new))

    def test_a_folder_without_code_is_an_error(self):
        with self.assertRaisesRegex(TableError, "docs.*no code"):
            next(mutate_random.draws("docs", 1))


if __name__ == "__main__":
    unittest.main()
