# SPDX-License-Identifier: MIT
"""What the guest says on its verdict port, and whether to believe it.

Only init writes there.  The output of test programs is indented, so it cannot
pass for a verdict.  A pass needs the whole of it: the plan this suite was
given, each test by name and in order, and a last line that agrees with all
that came before.  Whatever is missing, doubled or contradictory is a failure.
"""

import dataclasses
import re

PLAN = re.compile(r"1\.\.(\d+)$")
RESULT = re.compile(r"(not )?ok (\d+) - (.*?)(?: # (SKIP )?(.*))?$")
COMPLETE = re.compile(r"# verdict complete plan=(\d+) ok=(\d+) fail=(\d+)$")
NESTED = "    "

# What init adds to the tests of a suite.
FIRST, LAST = ["set-up"], ["unload", "kernel log"]


@dataclasses.dataclass
class Result:
    name: str
    ok: bool
    skipped: bool = False
    why: str = ""
    nested: list = dataclasses.field(default_factory=list)
    said: list = dataclasses.field(default_factory=list)   # nested lines that are no results


@dataclasses.dataclass
class Verdict:
    results: list = dataclasses.field(default_factory=list)
    problems: list = dataclasses.field(default_factory=list)   # one is enough to fail
    missing: list = dataclasses.field(default_factory=list)    # tests with no result

    def failures(self):
        """(name, why) of all that failed, the smallest unit that did."""
        found = []
        for result in self.results:
            inner = [(f"{result.name}: {n.name}", n.why) for n in result.nested if not n.ok]
            found += inner
            # A verdict on the whole test may say more than its parts did.
            if not result.ok and (not inner or "; " in result.why):
                found.append((result.name, result.why))
        if self.missing:
            more = ", ".join(self.missing[1:])
            found.append((self.missing[0], "did not come to an end" + (f"; after it nothing was run: {more}" if more else "")))
        if self.problems:
            found.append(("verdict", "; ".join(self.problems)))
        return found

    def counts(self):
        """(passed, failed, skipped), by sub-test."""
        nested = [n for r in self.results for n in r.nested if n.ok]
        skipped = sum(n.skipped for n in nested)
        return len(nested) - skipped, len(self.failures()), skipped


def _result(match):
    no, _number, name, skip, why = match.groups()
    return Result(name, not no, bool(skip), why or "")


class _Parser:
    def __init__(self, expected):
        self.expected = [*FIRST, *expected, *LAST]
        self.verdict = Verdict()
        self.plan = None
        self.complete = None
        self.start_nested()

    def start_nested(self):
        self.nested, self.nested_plan, self.said, self.disorder = [], None, [], ""

    def problem(self, text):
        self.verdict.problems.append(text)

    def nested_line(self, line):
        if match := RESULT.match(line):
            result = _result(match)
            if int(match.group(2)) != len(self.nested) + 1:
                self.disorder = line
            self.nested.append(result)
        elif match := PLAN.match(line):
            self.nested_plan = int(match.group(1))
        else:
            self.said.append(line)

    def top_result(self, line, match):
        result = _result(match)
        number = int(match.group(2))
        index = len(self.verdict.results)
        want = self.expected[index] if index < len(self.expected) else None
        if number != index + 1 or result.name != want:
            self.problem(f"expected result {index + 1}, '{want}', and read: {line}")
        result.nested, result.said = self.nested, self.said
        self.judge_nested(result)
        self.start_nested()
        self.verdict.results.append(result)

    def judge_nested(self, result):
        """init has judged already; these are its own mistakes."""
        if not result.ok or result.name in (*FIRST, *LAST):
            return
        if self.disorder:
            self.problem(f"{result.name} is called ok, but its sub-tests are out of order: {self.disorder}")
        if any(not n.ok for n in result.nested):
            self.problem(f"{result.name} is called ok, but a sub-test failed")
        if self.nested_plan != len(result.nested) or not result.nested:
            self.problem(f"{result.name} is called ok, but planned {self.nested_plan} "
                         f"sub-tests and gave {len(result.nested)}")

    def line(self, line):
        if self.complete:
            self.problem(f"after the verdict: {line}")
        elif line.startswith(NESTED):
            self.nested_line(line[len(NESTED):])
        elif match := RESULT.match(line):
            self.top_result(line, match)
        elif match := PLAN.match(line):
            self.plan = int(match.group(1))
        elif match := COMPLETE.match(line):
            self.complete = tuple(map(int, match.groups()))
        elif line != "KTAP version 1":
            self.problem(f"unknown line: {line[:200]}")

    def finish(self):
        results = self.verdict.results
        good = sum(r.ok for r in results)
        if not self.complete:
            self.problem("no complete verdict")
        elif self.complete != (len(self.expected), good, len(results) - good):
            self.problem(f"the last line says plan, ok, fail = {self.complete}; "
                         f"counted: {len(self.expected)}, {good}, {len(results) - good}")
        if self.plan != len(self.expected):
            self.problem(f"planned {self.plan} results, expected {len(self.expected)}")
        if self.nested:
            # The test that ran when the machine died: what it got done counts.
            name = self.expected[len(results)] if len(results) < len(self.expected) else "?"
            results.append(Result(name, False, why="the machine ended during this test; it had got this far",
                                  nested=self.nested, said=self.said))
        self.verdict.missing = self.expected[len(results):]
        return self.verdict


def parse(text, expected):
    """The verdict in text, which should be on the tests named in expected."""
    parser = _Parser(expected)
    for line in text.replace("\r\n", "\n").split("\n"):
        if line:
            parser.line(line)
    return parser.finish()
