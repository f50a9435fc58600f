"""Mutants that the judge must catch by their traces, and locate: wrong implementations of a model.

tests/mutants/by_trace/*.toml hold them, one file per area. A file has `[cases]` (name = "text of a case") and any
number of `[[mutant]]`:

    name      unique, for the mistake
    mistake   one sentence
    file      a .cpp of reference/
    old, new  the replacement; `old` occurs exactly once in the file
    cases     names of the cases that show it
    blame     the tap that must be named as the first divergence, or a glob for it
    verdict   default "mismatch"; of "rejected" the error's message must match `blame`
    hint      words that the report's hint must contain, if the judge can tell what the mistake is; in at least one
              of the cases, since not every case can show it

The mutated program (scripts/mutation.py) records the cases (`golden record`), and the honest program judges the
recordings (`verify --backend golden`).
"""

import fnmatch
import json
import re
import subprocess
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from mutation import ROOT, TableError, require_replacement

TABLE = ROOT / "tests" / "mutants" / "by_trace"
MIN_LOCATED = 0.95
TIME_LIMIT = 120  # seconds; a program that runs longer hangs

# What the table has to cover: a pattern that some mutant's case matches.
COVERED = {
    "dense": r"^dense\[",
    "moe": r"^moe\[",
    "joint_decoder": r"^joint_decoder\[",
    "cross_attention": r"^cross_attention\[",
    "mot": r"^mot\[",
    "moma": r"^moma\[",
    "adapter linear": r"adapter\.type=linear",
    "adapter mlp_2layer": r"adapter\.type=mlp_2layer",
    "adapter avgpool": r"adapter\.type=avgpool",
    "adapter attentional_pool": r"adapter\.type=attentional_pool",
    "decode": r"/decode=",
    "generate": r"/generate=",
    "loss": r"/loss=",
    "train": r"/train",
    "bfloat16": r"/bfloat16",
    "stages": r"/stages=",
    "output slice": r"/output_slice=",
}


@dataclass
class Mutant:
    name: str
    mistake: str
    file: str
    old: str
    new: str
    cases: dict[str, str]  # name: text
    blame: str
    verdict: str = "mismatch"
    hint: str = ""


@dataclass
class Outcome:
    verdict: str
    named: str  # the tap, or the message of a program that refused or crashed
    hint: str = ""


# The table


def read_table():
    """All mutants in the order of the files; raises TableError for the first thing that is wrong."""
    mutants = []
    for path in sorted(TABLE.glob("*.toml")):
        mutants += read_area(path)
    texts = [text for mutant in mutants for text in mutant.cases.values()]
    for what, pattern in COVERED.items():
        if not any(re.search(pattern, text) for text in texts):
            raise TableError(f"no mutant has a case of {what}")
    return mutants


def read_area(path):
    try:
        area = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise TableError(f"{path}: {error}") from error
    if area.keys() != {"cases", "mutant"}:
        raise TableError(f"{path.name}: has {sorted(area)}, expected cases and mutant")
    mutants = [make_mutant(path, row, area["cases"]) for row in area["mutant"]]
    unused = area["cases"].keys() - {name for mutant in mutants for name in mutant.cases}
    if unused:
        raise TableError(f"{path.name}: no mutant has the cases {sorted(unused)}")
    return mutants


def make_mutant(path, row, cases):
    where = f"{path.name}: {row.get('name', 'a mutant without a name')}"
    required = {"name", "mistake", "file", "old", "new", "cases", "blame"}
    optional = {"verdict", "hint"}
    if not required <= row.keys() <= required | optional:
        raise TableError(f"{where}: has {sorted(row)}, expected {sorted(required)} and optionally {sorted(optional)}")
    if row.get("hint", "a hint").strip() == "":
        raise TableError(f"{where}: hint = {row['hint']!r}: must be words of the hint; leave it out if there is none")
    unknown = [name for name in row["cases"] if name not in cases]
    if unknown or not row["cases"]:
        raise TableError(f"{where}: cases = {row['cases']}: {unknown or 'none'}")
    mutant = Mutant(**{**row, "cases": {name: cases[name] for name in row["cases"]}})
    require_replacement(where, mutant.file, r"reference/[a-z_/]+\.cpp", mutant.old, mutant.new)
    return mutant


# The programs


def record(program, cases, folder):
    """Records the cases below `folder` in their own dtype."""
    listed = folder / "cases.txt"
    listed.write_text("".join(f"{name} {text}\n" for name, text in cases.items()))
    command = [program, "golden", "record", "--cases", listed, "--out", folder / "traces", "--backend", "reference",
               "--reason", "a mutant"]  # its own oracle may call its traces wrong
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIME_LIMIT)


def judge(program, folder, traces=None):
    """The honest program's results for the recordings below `folder`, or for `traces`."""
    report = folder / "report.json"
    command = [program, "verify", "--golden", traces or folder / "traces", "--backend", "golden", "--json", report]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIME_LIMIT)
    if done.returncode not in (0, 1):
        raise TableError(f"the honest program failed: {done.stderr}")
    return json.loads(report.read_text())["results"]


def run_mutant(build, mutant):
    """One outcome for each case, or a single one where the program fails."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        folder = Path(name)
        program = build.link(mutant, "forgecheck", folder)
        try:
            recorded = record(program, mutant.cases, folder)
        except subprocess.TimeoutExpired:
            return [Outcome("timed out", "")]
        if recorded.returncode != 0:
            message = recorded.stderr.strip().removeprefix("forgecheck: ")
            return [Outcome("rejected" if recorded.returncode == 2 else "crashed", message)]
        results = judge(build.folder / "forgecheck", folder)
        return [outcome_of(result) for result in results]


def outcome_of(result):
    first = result["first_divergence"] or {"tap": ""}
    return Outcome(result["verdict"], first["tap"], first.get("hint", ""))


def check(build, mutants):
    """Every case runs, and the honest program's own recordings of them match."""
    cases = {}
    for mutant in mutants:
        for text in mutant.cases.values():
            cases[f"case_{len(cases)}"] = text
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        recorded = record(build.folder / "forgecheck", cases, Path(name))  # refuses a text that is not a case
        if recorded.returncode != 0:
            raise TableError(recorded.stderr.strip())
        for result in judge(build.folder / "forgecheck", Path(name)):
            if result["verdict"] != "match":
                raise TableError(f"{result['case']}: {result['verdict']} without any mutant: {result['message']}")


# The score


def is_caught(mutant, outcomes):
    return all(outcome.verdict == mutant.verdict for outcome in outcomes)


def is_located(mutant, outcomes):
    return is_caught(mutant, outcomes) and all(fnmatch.fnmatchcase(o.named, mutant.blame) for o in outcomes)


def is_hinted(mutant, outcomes):
    return any(mutant.hint in outcome.hint for outcome in outcomes)


def show(mutant, outcomes):
    verdicts = ", ".join(sorted({outcome.verdict for outcome in outcomes}))
    named = ", ".join(dict.fromkeys(outcome.named or "-" for outcome in outcomes))
    mark = "" if is_located(mutant, outcomes) else "WRONG PLACE" if is_caught(mutant, outcomes) else "SURVIVES"
    if not mark and not is_hinted(mutant, outcomes):
        mark = f"NO HINT {mutant.hint!r}"
    print(f"{mutant.name:<66} {verdicts:<10} {named:<44} {mutant.blame:<44} {mark}".rstrip(), flush=True)
    for hint in dict.fromkeys(outcome.hint for outcome in outcomes if outcome.hint):
        print(f"    {hint}", flush=True)


def passes(results):
    """Prints how many of [(mutant, outcomes)] were located and hinted; whether that is enough."""
    located = sum(is_located(mutant, found) for mutant, found in results)
    hints = [(mutant, found) for mutant, found in results if mutant.hint]
    hinted = sum(is_hinted(mutant, found) for mutant, found in hints)
    print(f"{len(results)} judged by their traces: {located} at the right tap ({located / len(results):.1%}); "
          f"hints: {hinted} of the {len(hints)} that the table knows")
    return located >= MIN_LOCATED * len(results) and hinted == len(hints)
