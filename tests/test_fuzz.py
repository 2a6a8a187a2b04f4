"""A few fuzzed inputs of each kind pass, and the harness finds what segbench must not do."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLANTED = """
import os, subprocess, sys, tempfile, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from fuzzing import harness
from hypothesis import strategies as st
from segbench.errors import DataError
from watched import watch

scratch = Path(tempfile.mkdtemp(dir=sys.argv[2])).resolve()
beside = scratch.with_name(scratch.name + "-beside")
beside.mkdir()
watch(scratch)
harness.SECONDS = 0.5

def say(text, code=2):
    print(text, file=sys.stderr)
    return code

def refuse(text):
    raise DataError(text)

def swallowed(do):
    try:
        do()
    except OSError:
        return 0

def parse(text):
    return int(text)

def loop(_):
    while True:
        pass

GOOD = {
    "accepted": lambda _: 0,
    "written": lambda _: Path("a").write_text("a") * 0,
    "refused": lambda _: refuse("a.png: cannot be read; replace it"),
    "a line": lambda _: say("error: a.png: cannot be read; replace it"),
}
BAD = {
    "KeyError is no error": lambda _: {}["a"],
    "ValueError is no error": lambda _: parse("a"),
    "traceback": lambda _: say("Traceback (most recent call last):"),
    "terminal": lambda _: say("error: a\\x1b[31m: long enough"),
    "without a clear line": lambda _: say("no"),
    "exit code 3": lambda _: say("error: long enough, and yet", 3),
    "subprocess.Popen": lambda _: swallowed(lambda: subprocess.run(["true"])),
    "os.system": lambda _: swallowed(lambda: os.system("true")),
    "open": lambda _: swallowed(lambda: (beside / "a").write_text("a")),
    "os.rename": lambda _: swallowed(lambda: os.rename(scratch / "current", beside / "a")),
    "os.symlink": lambda _: swallowed(lambda: os.symlink("a", beside / "a")),
    "or waited": lambda _: time.sleep(9) or 0,
    "more than": loop,
}
for name, run in GOOD.items():
    assert harness.judged(run, 0, scratch) in (harness.ACCEPTED, harness.REFUSED), name
for text, run in BAD.items():
    try:
        found = harness.judged(run, 0, scratch)
    except harness.Fault as fault:
        assert text in str(fault), (text, str(fault))
    else:
        raise SystemExit(f"{text}: {found}")
assert not list(beside.iterdir())
kind = harness.Kind("numbers", lambda: st.integers(0, 999), lambda n: 0 if n < 500 else {}[n])
found = harness.fuzz(kind, scratch, 200, None)
assert found[harness.FAILED] == 1
assert found[harness.ACCEPTED] > 1
"""


def test_the_harness_finds_what_segbench_must_not_do(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PLANTED, str(ROOT / "tests" / "helpers"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "value=500" in done.stderr  # the smallest input that fails


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits memory as Linux does")
def test_fuzzed_inputs_are_accepted_or_refused_in_one_line() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "fuzz.py"), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines()[2:]]
    assert [row[0].strip() for row in rows] == [
        *("configs", "records", "tables", "pictures", "checkpoints")
    ]
    assert all(int(row[1]) == int(row[2]) + int(row[3]) > 1 for row in rows)
