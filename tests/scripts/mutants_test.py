"""The score of the mutation table: what counts as a hint, and what fails a run."""

import contextlib
import io
import sys
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import mutants
from mutants import Mutant, Outcome
from mutation import TableError


def mutant(name="silu_is_relu", **fields):
    return Mutant(name=name, mistake="", file="", old="", new="", cases={"one": "dense[]"}, blame="logits", **fields)


def run_table(found):
    """(exit status, printed text) of a table of {mutant: outcomes}."""
    text = io.StringIO()
    with mock.patch.object(mutants, "outcomes", lambda *_: found), contextlib.redirect_stdout(text):
        status = mutants.run_table(None, [mutant for mutant, _ in found], 1)
    return status, text.getvalue()


class Hints(unittest.TestCase):
    def test_a_hint_that_the_table_knows_must_be_given(self):
        known = mutant(hint="relu instead of silu")
        given = Outcome("mismatch", "logits", "explained if the activation is relu instead of silu")
        status, text = run_table([(known, [given])])
        self.assertEqual(status, 0)
        self.assertIn("hints: 1 of the 1 that the table knows, 1 of 1 mutants have one", text)
        self.assertIn("\n    explained if the activation is relu instead of silu\n", text)
        for other in ("", "explained if the activation is gelu instead of silu"):
            status, text = run_table([(known, [Outcome("mismatch", "logits", other)])])
            self.assertEqual(status, 1)
            self.assertIn("NO HINT 'relu instead of silu'", text)
            self.assertIn("hints: 0 of the 1", text)

    def test_one_of_the_cases_must_show_it(self):
        given = [Outcome("mismatch", "logits", ""), Outcome("mismatch", "logits", "a relu")]
        self.assertEqual(run_table([(mutant(hint="relu"), given)])[0], 0)

    def test_a_mutant_without_one_needs_none(self):
        status, text = run_table([(mutant(), [Outcome("mismatch", "logits", "whatever")])])
        self.assertEqual(status, 0)
        self.assertIn("hints: 0 of the 0 that the table knows, 0 of 1 mutants have one", text)

    def test_a_hint_does_not_save_a_mutant_that_survives(self):
        self.assertEqual(run_table([(mutant(hint="relu"), [Outcome("match", "", "relu")])])[0], 1)

    def test_a_report_without_a_first_divergence_has_no_hint(self):
        self.assertEqual(mutants.outcome_of({"verdict": "match", "first_divergence": None}), Outcome("match", "", ""))
        first = {"tap": "norm", "hint": "eps is 0"}
        self.assertEqual(mutants.outcome_of({"verdict": "mismatch", "first_divergence": first}),
                         Outcome("mismatch", "norm", "eps is 0"))

    def test_an_empty_hint_is_refused(self):
        area = next(mutants.TABLE.glob("*.toml"))
        row = dict(name="x", mistake="", file="", old="", new="", cases=["a"], blame="", hint=" ")
        with self.assertRaisesRegex(TableError, "hint = ' '"):
            mutants.make_mutant(area, row, {"a": "dense[]"})

    def test_the_table_knows_hints(self):
        self.assertGreater(sum(mutant.hint != "" for mutant in mutants.read_table()), 80)


if __name__ == "__main__":
    unittest.main()
