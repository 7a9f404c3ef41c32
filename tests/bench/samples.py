# SPDX-License-Identifier: MIT
"""What the benches in the machine have said: samples and reports, out of their verdicts.

    # sample {"what": "register", "bar_mib": 4096, ...}     bench_life, bench_machine: one measurement
    # report |{"schema": 1, "cells|                         bench_io: a piece of the command's JSON

Whatever is asked for and not there is an error: a table with a hole in it looks
like a figure that nobody wanted.
"""

import json
import re
import statistics

SAMPLE = re.compile(r"# sample (\{.*\})$")
PIECE = re.compile(r"# report \|(.*)\|$")
SCHEMA = 1


class Missing(Exception):
    """A figure is not among the measurements."""


def samples(verdict):
    """All samples of a suite."""
    lines = (line for result in verdict.results for line in result.said)
    return [json.loads(found.group(1)) for line in lines if (found := SAMPLE.match(line))]


def report(verdict):
    """The command's reports of a suite, as one: its conditions and all cells."""
    whole = {"conditions": None, "cells": [], "skipped": [], "verdicts": []}
    for result in verdict.results:
        pieces = [found.group(1) for line in result.said if (found := PIECE.match(line))]
        if not pieces:
            continue
        part = json.loads("".join(pieces))
        if part.get("schema") != SCHEMA:
            raise Missing(f"{result.name}: the command's report has schema {part.get('schema')}, not {SCHEMA}")
        whole["conditions"] = whole["conditions"] or part["conditions"]
        for name in ("cells", "skipped", "verdicts"):
            whole[name] += part[name]
    if not whole["cells"]:
        raise Missing("the command has reported nothing")
    return whole


def _matches(entry, where):
    return all(entry.get(name) == value for name, value in where.items())


def _words(where):
    return ", ".join(f"{name} {value}" for name, value in where.items())


class Life:
    """The samples of bench_life and bench_machine."""

    def __init__(self, entries):
        self.entries = entries

    def all(self, **where):
        found = [e for e in self.entries if _matches(e, where)]
        if not found:
            raise Missing(f"no sample of: {_words(where)}")
        return found

    def median(self, key, **where):
        return statistics.median(e[key] for e in self.all(**where))

    def ratio(self, over, under, **where):
        """The median of what each sample says of itself."""
        return statistics.median(e[over] / e[under] for e in self.all(**where))

    def spread(self, key, **where):
        values = [e[key] for e in self.all(**where)]
        return min(values), statistics.median(values), max(values)


class Cells:
    """The cells of the command's reports."""

    def __init__(self, whole):
        self.conditions, self.cells, self.skipped = whole["conditions"], whole["cells"], whole["skipped"]

    def values(self, key, **where):
        return sorted({c[key] for c in self.cells if _matches(c, where)})

    def cell(self, **where):
        found = [c for c in self.cells if _matches(c, where)]
        if len(found) != 1:
            raise Missing(f"{len(found)} cells instead of one: {_words(where)}")
        return found[0]

    def figure(self, key, **where):
        """A median; latencies have none."""
        value = self.cell(**where)[key]
        return value["median"] if isinstance(value, dict) and "median" in value else value

    def ratio(self, key, column, to, **where):
        return self.figure(key, column=column, **where) / self.figure(key, column=to, **where)
