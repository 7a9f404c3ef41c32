#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The matrix of storage: the table of docs/storage.md, made of what the tests have seen.

A case that has judged a kind of storage prints a row (tests/guest/storage_row.h):

    # storage: ID | what | read | write | copy | path | doctor | cause | remedy | release | program:case

Without options: print all rows of the last runs.  --write makes the table of
docs/storage.md of them, for the kernels of KERNELS; a cell in which they differ
has a part for each.  --check fails if the table says something else than the
last runs, has a row that nobody has printed, or lacks one.  tests/run checks
the rows of each run likewise.
"""

import argparse
import pathlib
import re
import sys

import config

RESULTS = config.TOP / "build" / "results"
DOCS = config.TOP / "docs" / "storage.md"
GUEST = config.TOP / "tests" / "guest"
KERNELS = ("7.3", "7.2")
PROGRAMS = ("t_stack_files", "t_stack_nvme", "t_stack_layers", "t_stack_multipath", "t_stack_fabrics")
BEGIN, END = "<!-- made by tests/vm/storage.py --write -->\n", "<!-- end -->\n"
HEAD = ("id", "storage", "`read()`", "`write()`", "strict copy", "path that is reported", "doctor", "why",
        "remedy", "test")
RELEASE = 9


def known_ids():
    """In the order of the sources."""
    return [name for program in PROGRAMS
            for name in re.findall(r'\.id = "([a-z0-9-]+)"', (GUEST / f"{program}.c").read_text())]


def rows_of(path):
    """What one verdict holds: lists of the row's words."""
    for text in re.findall(r"^ +# storage: (.*)$", path.read_text(errors="replace"), re.M):
        yield [word.strip() for word in text.split(" | ")]


def rows(folder, suites=None):
    """By id: what the verdicts of suites in a folder hold, the newest of each."""
    paths = [p for p in folder.glob("*/verdict.tap") if suites is None or p.parent.name in suites]
    return {row[0]: row for path in sorted(paths, key=lambda p: p.stat().st_mtime) for row in rows_of(path)}


def cells_of(row):
    """What the table has of a row: all but the release."""
    test = f"`{row[RELEASE + 1]}`"
    return [f"`{row[0]}`", *row[1:RELEASE], test]


def merged(by_kernel):
    """One cell of what the kernels have there."""
    if len(set(by_kernel.values())) == 1:
        return next(iter(by_kernel.values()))
    return "<br>".join(f"{kernel}: {text}" for kernel, text in by_kernel.items())


def part_for(cell, kernel):
    """The inverse: what the cell says of a kernel."""
    parts = dict(part.split(": ", 1) for part in cell.split("<br>") if part.split(": ", 1)[0] in KERNELS)
    return parts.get(kernel, cell)


def table(found):
    """The lines; found: by kernel, by id."""
    lines = ["| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"]
    for name in known_ids():
        mine = {kernel: cells_of(rows[name]) for kernel, rows in found.items() if name in rows}
        if mine:
            columns = zip(*mine.values())
            lines.append("| " + " | ".join(merged(dict(zip(mine, column))) for column in columns) + " |")
    return "\n".join(lines) + "\n"


def heading(found):
    releases = sorted({row[RELEASE] for rows in found.values() for row in rows.values()}, reverse=True)
    return f"Seen on {' and '.join(releases)} (stock Debian, x86-64), in QEMU machines under TCG.\n\n"


def documented(path=DOCS):
    """The table's rows by id: lists of cells."""
    text = path.read_text()
    lines = text[text.index(BEGIN):text.index(END)].splitlines()
    split = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| `")]
    return {cells[0].strip("` "): cells for cells in split}


def disagreements(kernel, seen, promised):
    """Where rows that were seen on a kernel differ from the table, in words."""
    for name, row in seen.items():
        if name not in promised:
            yield f"{name}: docs/storage.md has no such row"
            continue
        for head, have, want in zip(HEAD, cells_of(row), promised[name]):
            if have != part_for(want, kernel):
                yield f"{name}, {head}: {kernel} has '{have}', docs/storage.md says '{part_for(want, kernel)}'"


def missing(seen, promised):
    """Rows of the table or of the sources that nobody has printed."""
    for name in [*known_ids(), *promised]:
        if name not in seen:
            yield f"{name}: no test has printed it"


def show(kernel, folder, suites):
    """After a run: what differs, or None if these suites have printed nothing, or for no kernel of the table."""
    seen = rows(folder, suites)
    if not seen or kernel not in KERNELS:
        return None
    return list(disagreements(kernel, seen, documented()))


def write(found):
    text = DOCS.read_text()
    before, after = text[:text.index(BEGIN) + len(BEGIN)], text[text.index(END):]
    DOCS.write_text(before + heading(found) + table(found) + after)


def main():
    parser = argparse.ArgumentParser(usage="tests/vm/storage.py [--check | --write]")
    parser.add_argument("--check", action="store_true", help="compare with docs/storage.md")
    parser.add_argument("--write", action="store_true", help="make the table of docs/storage.md")
    args = parser.parse_args()
    found = {kernel: seen for kernel in KERNELS if (seen := rows(RESULTS / kernel))}
    if args.write:
        write(found)
    elif not args.check:
        print(heading(found) + table(found))
    problems = []
    if args.check:
        promised = documented()
        for kernel, seen in found.items():
            problems += [*disagreements(kernel, seen, promised), *missing(seen, promised)]
        print("\n".join(problems) or f"{sum(map(len, found.values()))} rows")
    return 1 if problems or not found else 0


if __name__ == "__main__":
    sys.exit(main())
