"""Damage sound network files in many ways and open them: a network, or one sentence, and never anything else.

    python benchmarks/fuzz.py --mutants 20000

Each mutant is opened in a child process with a limit on memory and time, so that a crash or a hang is a finding like a
traceback, and is kept as a file. Mutants follow from the seed and their number alone.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from mutants import mutant
from victims import open_file, pictures, victims

MEMORY_BYTES = 6 << 30
SECONDS = 60
"""For a single mutant; an unharmed file takes a tenth of a second."""


def made(files: dict[str, bytes], seed: int, number: int) -> tuple[str, bytes]:
    """Mutant number `number`: which file it was made of, and its bytes."""
    rng = random.Random(f"{seed} {number}")
    name = rng.choice(sorted(files))
    return name, mutant(files[name], rng)


def child(seed: int, first: int, last: int) -> None:
    """Open mutants and print a word for each; any exception but ours ends the process."""
    from deepdive.errors import DeepDiveError
    from deepdive.qnet.importers import Photographs
    from deepdive.qnet.onnx_file import load

    warnings.simplefilter("error", RuntimeWarning)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    files = victims()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutant.onnx"
        photographs = Photographs(pictures=pictures(Path(folder)))
        for number in range(first, last):
            name, data = made(files, seed, number)
            path.write_bytes(data)
            signal.alarm(SECONDS)
            try:
                load(path) if name == "own" else open_file(path, photographs)
                word = "opened"
            except DeepDiveError as error:
                word = "refused"
                if not str(error).isprintable() or str(path) not in str(error):
                    raise AssertionError(f"a sentence that cannot be printed, or names no file: {error!r}") from error
            signal.alarm(0)
            print(f"{name} {word}", flush=True)


def main() -> int:
    """Run all mutants; 1 when one of them was a finding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="folder for mutants that fail")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    last = options.first + options.mutants
    if options.child:
        child(options.seed, options.first, last)
        return 0
    counts: Counter[str] = Counter()
    findings, number, started = 0, options.first, time.monotonic()
    while number < last:
        command = [sys.executable, __file__, "--child", "--seed", str(options.seed), "--first", str(number)]
        command += ["--mutants", str(last - number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            for line in process.stdout:
                counts[line.strip()] += 1
                number += 1
                if number % 1000 == 0:
                    print(f"{number - options.first} of {options.mutants}", file=sys.stderr, flush=True)
            reason = process.stderr.read().strip().splitlines()[-1:] or ["no word"]
        if number < last:
            findings += 1
            name, data = made(victims(), options.seed, number)
            options.findings.mkdir(parents=True, exist_ok=True)
            kept = options.findings / f"{name}-{options.seed}-{number}.onnx"
            kept.write_bytes(data)
            print(f"finding: {kept}: exit {process.returncode}: {reason[0][:300]}", flush=True)
            number += 1
    for line, count in sorted(counts.items()):
        print(f"{line}: {count}")
    print(f"{options.mutants} mutants, {findings} findings, {time.monotonic() - started:.0f} s")
    return int(findings > 0)


if __name__ == "__main__":
    sys.exit(main())
