"""Which small mistakes do the nearest tests not notice? Mutants of the sources, each run against the tests of its folder.

    python -m benchmarks.mutation [--count 120] [--seed 1] [--folder NAME ...] [--jobs 1] [--again]

Each mutant changes one operator, number or function of one file in a copy of the tree; the tests nearest to the file (see
``benchmarks.mutants.FOLDERS``) must fail, or exceed their time. Results are kept in build/mutation.json, and a mutant that
is known there is not run again; --again runs the survivors. Mutants that change nothing that anybody could observe are
listed with the reason in benchmarks/equivalent_mutants.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.mutants import FOLDERS, Mutant, chosen

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "build" / "mutation.json"
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.json")
SECONDS = 900  # for the tests of one mutant
KILLED, SURVIVED, TIMEOUT = "killed", "survived", "killed by its time"


class Copies:
    """Copies of the tree, one a worker, in which mutants are tried."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._folder = tempfile.TemporaryDirectory(prefix="ggdq-mutation-")
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        self._files = [name for name in listed.split("\0") if name and (ROOT / name).is_file()]

    def mine(self) -> Path:
        """The copy of the calling thread."""
        if not hasattr(self._local, "root"):
            self._local.root = Path(tempfile.mkdtemp(dir=self._folder.name))
            for name in self._files:
                to = self._local.root / name
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, to)
        root: Path = self._local.root
        return root

    def close(self) -> None:
        self._folder.cleanup()


def tests_of(root: Path, mutant: Mutant) -> list[str]:
    """The nearest tests: first those that are named as the file, then all of the folder."""
    folder = FOLDERS[mutant.folder][1]
    parts = Path(mutant.path).relative_to(FOLDERS[mutant.folder][0]).parts
    names = {part.split(".")[0].lstrip("_") for part in parts}
    close = [path for name in names for path in (root / folder).glob(f"test_*{name}*.py")]
    return [*(str(path.relative_to(root)) for path in sorted(close)), folder]


def outcome(root: Path, mutant: Mutant) -> tuple[str, float]:
    """What the nearest tests say of a mutant, and seconds."""
    path = root / mutant.path
    source = path.read_bytes()
    environment = {**os.environ, "PYTHONPATH": str(root / "toolchain"), "PYTHONDONTWRITEBYTECODE": "1"}
    line = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "--no-header",
        *tests_of(root, mutant),
    ]
    started = time.monotonic()
    path.write_bytes(mutant.apply(source))
    try:
        done = subprocess.run(
            line, cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return TIMEOUT, time.monotonic() - started
    finally:
        path.write_bytes(source)
    if done.returncode not in (0, 1, 2):
        raise RuntimeError(f"pytest ends with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return (SURVIVED if done.returncode == 0 else KILLED), time.monotonic() - started


def run(mutants: Sequence[Mutant], jobs: int, again: bool) -> dict[str, str]:
    """The outcome of each mutant by key; known ones are taken from the file of results."""
    known: dict[str, str] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    waiting = [one for one in mutants if one.key not in known or (again and known[one.key] == SURVIVED)]
    copies, lock = Copies(), threading.Lock()

    def work(mutant: Mutant) -> None:
        result, seconds = outcome(copies.mine(), mutant)
        with lock:
            known[mutant.key] = result
            RESULTS.parent.mkdir(exist_ok=True)
            RESULTS.write_text(json.dumps(known, indent=1, sort_keys=True))
            print(f"{result:9} {seconds:5.0f} s  {mutant.path}:{mutant.line}: {mutant.old} -> {mutant.new}", flush=True)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(work, waiting))
    copies.close()
    return known


def report(mutants: Sequence[Mutant], results: dict[str, str]) -> str:
    """Score and survivors by folder."""
    equivalent: dict[str, str] = json.loads(EQUIVALENT.read_text())
    rows = []
    for folder in FOLDERS:
        of_folder = [one for one in mutants if one.folder == folder]
        counted = [one for one in of_folder if one.key not in equivalent]
        survivors = [one for one in counted if results[one.key] == SURVIVED]
        if of_folder:
            killed, same = len(counted) - len(survivors), len(of_folder) - len(counted)
            share = 100 * killed / max(1, len(counted))
            rows.append(f"{folder}: killed {killed} of {len(counted)} ({share:.0f} %); {same} equivalent")
            rows += [f"    {one.path}:{one.line}  {one.old} -> {one.new}  in: {one.text}" for one in survivors]
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", nargs="+", choices=FOLDERS, default=list(FOLDERS))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="run known survivors again")
    options = parser.parse_args()
    mutants = chosen(ROOT, options.count, options.seed, options.folder)
    print(report(mutants, run(mutants, options.jobs, options.again)))


if __name__ == "__main__":
    main()
