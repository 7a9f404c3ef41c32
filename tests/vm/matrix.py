#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The matrix of events: what the tests have seen, beside what docs/events.md promises.

A case that has driven an event under running I/O prints a row (tests/guest/matrix.h):

    # matrix: ID | event | touching thread | racing read | in-flight read | took ... | program:case

docs/events.md has a table whose lines begin with the same ID.  Without options:
print all rows of the last runs, in the order of that table.  With --check, fail
if the table names a test that has printed no row, or a row is not in the table,
or says something else.
"""

import argparse
import dataclasses
import pathlib
import re
import sys

import config

RESULTS = config.TOP / "build" / "results"
DOCS = config.TOP / "docs" / "events.md"
GUEST = config.TOP / "tests" / "guest"
NONE = "none: "     # instead of tests: why there are none


@dataclasses.dataclass(frozen=True)
class Row:
    """What a case has seen."""
    id: str
    event: str
    words: tuple    # touching thread, racing read, in-flight read
    took: str
    test: str       # program:case

    def promised(self):
        """The words without the figures."""
        return tuple(w.split(" (")[0] for w in self.words)


@dataclasses.dataclass(frozen=True)
class Promise:
    """A line of docs/events.md."""
    id: str
    event: str
    words: tuple
    tests: tuple
    why_none: str = ""


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def promises(path=DOCS):
    found = []
    for line in path.read_text().splitlines():
        if not re.match(r"\| `[a-z0-9-]+` \|", line):
            continue
        name, event, *words, _bound, _hook, tests = cells(line)
        named = tuple(re.findall(r"`(t_\w+:[^`]+)`", tests))
        why = tests[len(NONE):] if tests.startswith(NONE) else ""
        found.append(Promise(name.strip("`"), event, tuple(words), named, why))
    return found


def rows_of(path):
    """What one verdict holds."""
    for text in re.findall(r"^ +# matrix: (.*)$", path.read_text(errors="replace"), re.M):
        name, event, touching, racing, flight, took, test = cells(text)
        yield Row(name, event, (touching, racing, flight), took, test)


def rows(folder, suites=None):
    """What the verdicts of suites in a folder hold; of those of the same test the newest."""
    paths = [p for p in folder.glob("*/verdict.tap") if suites is None or p.parent.name in suites]
    found = {}
    for path in sorted(paths, key=lambda p: p.stat().st_mtime):
        found |= {(row.id, row.test): row for row in rows_of(path)}
    return list(found.values())


def in_order(found, known):
    order = {p.id: n for n, p in enumerate(known)}
    return sorted(found, key=lambda r: (order.get(r.id, len(order)), r.id, r.test))


def table(found):
    head = ("id", "touching thread", "racing read", "in-flight read", "", "test")
    lines = [head] + [(r.id, *r.words, r.took, r.test) for r in found]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in lines)


def disagreements(found, known):
    """Where tests and table differ, in words."""
    by_id = {}
    for promise in known:
        by_id.setdefault(promise.id, []).append(promise)
    for row in found:
        mine = [p for p in by_id.get(row.id, []) if row.test in p.tests]
        if not mine:
            yield f"{row.id}: docs/events.md has no row that names {row.test}"
        for promise in mine:
            if promise.words != row.promised():
                yield f"{row.id}: {row.test} saw {row.promised()}, docs/events.md says {promise.words}"
    seen = {(r.id, r.test) for r in found}
    for promise in known:
        for test in promise.tests:
            if (promise.id, test) not in seen:
                yield f"{promise.id}: {test} has printed no row"


def cases(program):
    """The names of the cases in a program's source; None if there is no such program."""
    path = GUEST / f"{program}.c"
    return set(re.findall(r'^\t\{ "([^"]+)",', path.read_text(), re.M)) if path.exists() else None


def mistakes(known):
    """What can be wrong with the table itself."""
    for promise in known:
        if not promise.tests and not promise.why_none:
            yield f"{promise.id}: neither a test nor '{NONE}' and a reason"
        if len(promise.words) != 3:
            yield f"{promise.id}: it has {len(promise.words) + 6} columns, not 9"
        for test in promise.tests:
            program, case = test.split(":", 1)
            known_cases = cases(program)
            if known_cases is None:
                yield f"{promise.id}: there is no program {program}"
            elif case not in known_cases:
                yield f"{promise.id}: {program} has no case '{case}'"


def show(folder, suites):
    """After a run: the table of what these suites have printed, if any."""
    found = rows(folder, suites)
    if found:
        print("\n" + table(in_order(found, promises())), flush=True)


def main():
    parser = argparse.ArgumentParser(usage="tests/vm/matrix.py [--check] [--kernel PATTERN]")
    parser.add_argument("--check", action="store_true", help="compare with docs/events.md")
    parser.add_argument("--kernel", default="*", help="the folder in build/results, such as '7.3'")
    args = parser.parse_args()
    known, status = promises(), 0
    for folder in sorted(RESULTS.glob(args.kernel)):
        found = in_order(rows(folder), known)
        if not found:
            continue
        print(f"{folder.name}\n\n{table(found)}\n")
        problems = [*mistakes(known), *disagreements(found, known)] if args.check else []
        print("\n".join(problems) or f"{len(found)} rows")
        status |= bool(problems)
    return status


if __name__ == "__main__":
    sys.exit(main())
