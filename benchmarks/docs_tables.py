"""Run the commands that stand above the tables of the docs, and put what they print into the tables.

    python benchmarks/docs_tables.py [--only TEXT] [docs/compiler.md ...]

Such a table stands right behind a block of code with nothing but its command. The command prints a table, too; of its
columns the docs' table keeps those that its own heading names. The rows are replaced as a whole.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = re.compile(r"```\nPYTHONPATH=src:tests python (?P<command>benchmarks/.*)\n```\n\n(?P<table>(?:\|.*\n)+)")


def cells(line: str) -> list[str]:
    """The cells of a row."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def row(values: list[str]) -> str:
    """A row of these cells."""
    return f"| {' | '.join(values)} |\n"


def renewed(table: str, printed: str) -> str:
    """The docs' table with the printed rows.

    Raises
    ------
    SystemExit
        When the command printed no table, or none with a column of the docs' table.
    """
    heading, *rows = [cells(line) for line in printed.splitlines() if line.startswith("|")] or [[]]
    wanted = cells(table.splitlines()[0])
    if missing := [name for name in wanted if name not in heading]:
        raise SystemExit(f"The command printed no column {missing}; it has {heading}.")
    columns = [heading.index(name) for name in wanted]
    return row(wanted) + "".join(row([found[at] for at in columns]) for found in rows)


def main() -> None:
    """Renew the tables, one command after the other, each file as soon as one of its tables is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, default=sorted((ROOT / "docs").glob("*.md")))
    parser.add_argument("--only", default="", help="commands that contain this text")
    given = parser.parse_args()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT / "tests")))}
    for file in given.files:
        for found in list(TABLE.finditer(file.read_text())):
            command = found["command"].strip()
            if given.only not in command:
                continue
            print(f"{file.name}: {command}", flush=True)
            run = subprocess.run(
                [sys.executable, *shlex.split(command)], cwd=ROOT, env=environment, capture_output=True, text=True
            )
            if run.returncode:
                raise SystemExit(run.stderr)
            table = renewed(found["table"], run.stdout)
            file.write_text(file.read_text().replace(found["table"], table))
            print(table, flush=True)


if __name__ == "__main__":
    main()
