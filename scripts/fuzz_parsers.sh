#!/usr/bin/env bash
# Every parser of the program against bytes that nobody would write, under the sanitizers (libFuzzer, tests/parsers):
#
#   scripts/fuzz_parsers.sh [SECONDS]        so long for each of them (default: 60)
#
# The seeds are files and cases of this repository. An input that crashes a parser is kept in build/parsers/found.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
command -v clang++ > /dev/null || { echo "fuzz_parsers: needs clang++ (Debian: clang)" >&2; exit 2; }
cmake --preset parsers > /dev/null
cmake --build --preset parsers

build=build/parsers
found=$build/found
mkdir -p $build/seeds/{answer,case,json,safetensors,toml} $found
python3 - $build/seeds <<'END'
import json, sys
from pathlib import Path

seeds = Path(sys.argv[1])
lines = [line.split(maxsplit=1)[1] for line in Path("golden/reference/cases.txt").read_text().splitlines()
         if line and not line.startswith("#")]
for number, line in enumerate(lines[::4]):
    (seeds / "case" / f"{number}").write_text(line)
goldens = sorted(Path("golden").rglob("*.safetensors"), key=lambda path: path.stat().st_size)[:24]
for number, golden in enumerate(goldens):
    data = golden.read_bytes()
    (seeds / "safetensors" / f"{number}").write_bytes(data)
    header = json.loads(data[8:8 + int.from_bytes(data[:8], "little")])
    metadata = header.get("__metadata__", {}).get("forgecheck")
    case = json.loads(metadata).get("case") if metadata else None
    if case:
        (seeds / "json" / f"{number}").write_text(json.dumps(case))
for number, config in enumerate(sorted(Path("tests/data").rglob("*.toml"))):
    (seeds / "toml" / f"{number}").write_text(config.read_text())
(seeds / "answer" / "0").write_text(
    '[{"candidate": "a", "verdict": "mismatch", "used": null, "message": "off", "tap": "logits", "family": "logits", "hint": "h"}]')
END

failed=0
for parser in answer case json safetensors toml; do
  mkdir -p $build/corpus/$parser
  echo "fuzz_parsers: $parser, $seconds s"
  $build/tests/parsers/parse_$parser $build/corpus/$parser $build/seeds/$parser -max_total_time="$seconds" -rss_limit_mb=4096 \
    -timeout=20 -verbosity=0 -print_final_stats=1 -artifact_prefix=$found/$parser- || failed=1
done
exit $failed
