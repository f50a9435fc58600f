"""The score of the mutants: what counts as caught and as a hint, and what fails a run."""

import contextlib
import io
import sys
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import mutants
import mutants_by_test as by_test
import mutants_by_trace as by_trace
from mutation import TableError

MATCH = by_trace.Outcome("match", "")
LOGITS = by_trace.Outcome("mismatch", "logits", "explained if the activation is relu instead of silu")


def traced(name="silu_is_relu", **fields):
    return by_trace.Mutant(name=name, mistake="", file="reference/ops/x.cpp", old="", new="", cases={"one": "dense[]"},
                           blame="logits", **fields)


def tested(name="flag_ignored", **fields):
    return by_test.Mutant(name=name, mistake="", file="harness/io/x.cpp", old="", new="", test="A.B", program="test_a",
                          **fields)


def run(found):
    """(exit status, printed text) of a run over [(mutant, what was found)]."""
    rows = [(by_trace if isinstance(mutant, by_trace.Mutant) else by_test, mutant) for mutant, _ in found]
    outcomes = {mutant.name: outcome for mutant, outcome in found}
    text = io.StringIO()
    with contextlib.ExitStack() as stack:
        for table in mutants.TABLES:
            stack.enter_context(mock.patch.object(table, "run_mutant", lambda _, mutant: outcomes[mutant.name]))
        stack.enter_context(contextlib.redirect_stdout(text))
        return mutants.run(None, rows, 1), text.getvalue()


class Traces(unittest.TestCase):
    def test_a_hint_that_the_table_knows_must_be_given(self):
        known = traced(hint="relu instead of silu")
        status, text = run([(known, [LOGITS])])
        self.assertEqual(status, 0)
        self.assertIn("hints: 1 of the 1 that the table knows", text)
        self.assertIn("\n    explained if the activation is relu instead of silu\n", text)
        for other in ("", "explained if the activation is gelu instead of silu"):
            status, text = run([(known, [by_trace.Outcome("mismatch", "logits", other)])])
            self.assertEqual(status, 1)
            self.assertIn("NO HINT 'relu instead of silu'", text)
            self.assertIn("hints: 0 of the 1", text)

    def test_one_of_the_cases_must_show_the_hint(self):
        self.assertEqual(run([(traced(hint="relu"), [by_trace.Outcome("mismatch", "logits"), LOGITS])])[0], 0)

    def test_a_mutant_without_a_hint_needs_none(self):
        status, text = run([(traced(), [LOGITS])])
        self.assertEqual(status, 0)
        self.assertIn("hints: 0 of the 0 that the table knows", text)

    def test_a_hint_does_not_save_a_mutant_that_survives(self):
        survivor = by_trace.Outcome("match", "", "relu")
        self.assertEqual(run([(traced(hint="relu"), [survivor])])[0], 1)

    def test_a_mutant_must_be_caught_in_every_case(self):
        status, text = run([(traced(), [LOGITS, MATCH])])
        self.assertEqual(status, 1)
        self.assertIn("SURVIVES", text)

    def test_one_in_twenty_may_be_caught_at_another_tap(self):
        elsewhere = [by_trace.Outcome("mismatch", "norm")]
        found = [(traced(f"m{i}"), [LOGITS]) for i in range(19)]
        self.assertEqual(run([*found, (traced("other"), elsewhere)])[0], 0)
        status, text = run([*found[1:], (traced("other"), elsewhere)])
        self.assertEqual(status, 1)
        self.assertIn("WRONG PLACE", text)

    def test_a_report_without_a_first_divergence_has_no_hint(self):
        self.assertEqual(by_trace.outcome_of({"verdict": "match", "first_divergence": None}), MATCH)
        first = {"tap": "norm", "hint": "eps is 0"}
        self.assertEqual(by_trace.outcome_of({"verdict": "mismatch", "first_divergence": first}),
                         by_trace.Outcome("mismatch", "norm", "eps is 0"))

    def test_an_empty_hint_is_refused(self):
        area = next(by_trace.TABLE.glob("*.toml"))
        row = dict(name="x", mistake="", file="", old="", new="", cases=["a"], blame="", hint=" ")
        with self.assertRaisesRegex(TableError, "hint = ' '"):
            by_trace.make_mutant(area, row, {"a": "dense[]"})

    def test_the_table_knows_hints(self):
        self.assertGreater(sum(mutant.hint != "" for mutant in by_trace.read_table()), 80)


class Tests(unittest.TestCase):
    FAILED = by_test.Outcome(False, ["A.B"])
    PASSED = by_test.Outcome(True, [])

    def test_one_test_must_fail(self):
        self.assertEqual(run([(tested(), self.FAILED)])[0], 0)
        status, text = run([(tested(), self.PASSED)])
        self.assertEqual(status, 1)
        self.assertIn("SURVIVES", text)

    def test_a_test_that_hangs_catches_nothing(self):
        self.assertEqual(run([(tested(), by_test.Outcome(False, ["timed out"]))])[0], 1)

    def test_first_runs_are_counted_where_they_are_on_record(self):
        found = [(tested("a", first_run="caught"), self.FAILED), (tested("b", first_run="survived"), self.FAILED),
                 (tested("c"), self.FAILED)]
        status, text = run(found)
        self.assertEqual(status, 0)
        self.assertIn("3 judged by a test: of 2 whose first run is on record, 1 were caught by it (50.0%)", text)

    def test_a_first_run_is_caught_or_survived(self):
        row = dict(name="x", mistake="", file="", old="", new="", test="A.B", first_run="maybe")
        with self.assertRaisesRegex(TableError, "first_run = maybe"):
            by_test.make_mutant(Path("area.toml"), row, "test_a")


class Summary(unittest.TestCase):
    def test_it_counts_both_tables_by_folder(self):
        _, text = run([(traced(), [LOGITS]), (tested("a"), Tests.FAILED), (tested("b"), Tests.PASSED)])
        self.assertRegex(text, r"harness/io +1 of 2\n +reference/ops +1 of 1\n3 mutants: 2 caught \(66\.7%\)\n$")

    def test_names_are_unique_over_both_tables(self):
        with mock.patch.object(by_trace, "read_table", lambda: [traced("same")]), \
             mock.patch.object(by_test, "read_table", lambda: [tested("same")]), \
             self.assertRaisesRegex(TableError, "two mutants are called same"):
            mutants.read_tables()

    def test_the_tables_are_large_enough(self):
        self.assertGreaterEqual(len(mutants.read_tables()), mutants.MIN_MUTANTS)
        with mock.patch.object(by_trace, "read_table", lambda: []), self.assertRaisesRegex(TableError, "are required"):
            mutants.read_tables()


if __name__ == "__main__":
    unittest.main()
