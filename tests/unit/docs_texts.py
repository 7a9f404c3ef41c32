#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the pages quote is what the sources say.

Theory: who searches for an error finds it only if the page has its very words, and words are
mended in the sources without a thought of pages.  So every text of docs/troubleshooting.md is
looked for in the string literals of driver, library and command; a message of the kernel's own
must be one that a test has expected; an errno must be in the test that the row names.  Names of
attributes, parameters and tracepoints in docs/sysfs.md are compared both ways.

usage: docs_texts.py
"""

import errno
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(TOP / "tests" / "docs"))

import pages     # noqa: E402
import texts     # noqa: E402
from tap import Tap    # noqa: E402

TROUBLES = TOP / "docs" / "troubleshooting.md"
SYSFS = TOP / "docs" / "sysfs.md"


def is_said(text, said):
    wanted = texts.quoted(text)
    return any(wanted in s for s in said)


def unknown_texts(said):
    count = 0
    for line, cells in texts.rows(TROUBLES, ["text", "why", "do"]):
        for text in texts.in_backticks(cells[0]):
            count += 1
            if not is_said(text, said):
                yield f"troubleshooting.md:{line}: no source says: {text}"
        # The rules of a refused window stand in the last cell.
        if cells[0].startswith("`p2p: no window of"):
            for text in texts.in_backticks(cells[2]):
                if not is_said(text, said):
                    yield f"troubleshooting.md:{line}: no source says: {text}"
    if count < 80:
        yield f"only {count} texts were found"


def unseen_messages(expected):
    for line, cells in texts.rows(TROUBLES, ["text of the kernel", "why", "do", "seen by"]):
        for text in texts.in_backticks(cells[0]):
            if text not in expected and cells[3] != "by source":
                yield f"troubleshooting.md:{line}: no test expects: {text}"


def unseen_errnos():
    for line, cells in texts.rows(TROUBLES, ["call", "errno", "why", "seen by"]):
        tests = texts.in_backticks(cells[3])
        sources = "".join((TOP / "tests" / "guest" / f"{t}.c").read_text() for t in tests)
        for name in texts.in_backticks(cells[1]):
            if not hasattr(errno, name):
                yield f"troubleshooting.md:{line}: {name} is no errno"
            elif not re.search(rf"\b{name}\b", sources) and cells[3] != "by source":
                yield f"troubleshooting.md:{line}: {name} is not in {', '.join(tests) or 'a test that is named'}"


def differing(name, page, source, where="sysfs.md"):
    for one in sorted(page - source):
        yield f"{where}: {name} {one} is not in the driver"
    for one in sorted(source - page):
        yield f"{where}: the driver's {name} {one} is missing"


def names_of(header):
    return {n for _, cells in texts.rows(SYSFS, header) for n in texts.in_backticks(cells[0])}


def module(name):
    return (TOP / "module" / name).read_text()


def attributes():
    found = set(re.findall(r"DEVICE_ATTR_RO\((\w+)\)|P2P_ATTR\((\w+)\);", module("sysfs.c")))
    return {n for groups in found for n in groups if n and n != "field"}


def parameters():
    return set(re.findall(r"^module_param(?:_cb)?\((\w+)", module("main.c"), re.M))


def tagged(section):
    """The names that begin the paragraphs of a section of p2p-vfio-pci(4)."""
    part = (TOP / "man" / "man4" / "p2p-vfio-pci.4").read_text().split(f".SH {section}\n")[1].split(".SH ")[0]
    return {w for line in re.findall(r"^\.TP\n\.\w+ (.*)", part, re.M) for w in re.findall(r"[a-z_0-9]+", line)}


def manual_names():
    yield from differing("parameter", tagged("MODULE PARAMETERS"), parameters(), "p2p-vfio-pci(4)")
    yield from differing("attribute", tagged("FILES"), attributes(), "p2p-vfio-pci(4)")


def sysfs_names():
    yield from differing("attribute", names_of(["attribute", "meaning"]), attributes())
    yield from differing("parameter", names_of(["parameter", "default", "meaning"]), parameters())
    yield from differing("tracepoint", names_of(["event", "fields", "says"]),
                         set(re.findall(r"^TRACE_EVENT\((\w+)", module("trace.h"), re.M)))


def missing_log_lines(said):
    """Each line that the driver logs is in the table of sysfs.md; the other way is a matter of numbers."""
    table = "".join(cells[0] for _, cells in texts.rows(SYSFS, ["line", "level", "when"]))
    table = re.sub(r"0x[0-9a-f.]+|\d+|\((reset)\)", lambda m: "(\0)" if m.group(1) else texts.MARK, table)
    for name in sorted((TOP / "module").glob("*.c")):
        for literal in texts.literals(name.read_text()):
            if not literal.startswith("p2p: "):
                continue
            parts = [p for p in texts.normal(literal).removeprefix("p2p: ").split(texts.MARK) if len(p.strip()) > 4]
            parts = [p.split(";")[0] for p in parts]
            if not all(p.strip() in table for p in parts):
                yield f"sysfs.md: the log's line is missing: {literal}"


def main():
    tap, said = Tap(), texts.sources()
    tap.ok(len(said) > 1000, f"the sources have texts: {len(said)}")
    tap.none(unknown_texts(said), "what troubleshooting.md quotes is said by a source")
    tap.none(unseen_messages(texts.tests_words()), "the kernel's messages on it have been seen by a test, or are said to be from its source")
    tap.none(unseen_errnos(), "its errnos are in the tests that it names")
    tap.ok(not is_said("IOMMU group <n> is not viable: <device> is bound to a ghost driver", said)
           and is_said("IOMMU group <n> is not viable: <device> is bound to a host driver", said),
           "a text that has changed is noticed")
    tap.none(sysfs_names(), "sysfs.md has the driver's attributes, parameters and tracepoints")
    tap.none(manual_names(), "so has p2p-vfio-pci(4), but for the tracepoints")
    tap.none(missing_log_lines(said), "sysfs.md has the driver's log lines")
    statuses = {int(s) for s in re.findall(r"^  (\d)  ", (TOP / "cli" / "commands.c").read_text().replace('"', ""), re.M)}
    listed = {int(cells[0]) for _, cells in texts.rows(TROUBLES, ["status", "of `vfio-p2p`"])}
    tap.ok(statuses == listed and listed, f"the exit statuses are the command's: {sorted(listed)}")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
