#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The header documents what it declares, and the manual pages say the same.

Theory: a parameter is added and not described, an error is added in one of two places.  So
every function of vfio-p2p.h is preceded by a comment that begins with its name, describes each
of its parameters, and says what it returns if it can fail; and the errors that the comment
lists and those below ERRORS or RETURN VALUE of its manual page are the same set.  What any
call may answer is said once, at the top of the header and in libvfio-p2p(3).  (That map,
header and pages have the same functions is lib_symbols.)

usage: docs_header.py
"""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(TOP / "tests" / "docs"))

from tap import Tap    # noqa: E402

HEADER = TOP / "include" / "vfio-p2p.h"
DECLARATION = re.compile(r"/\*\*((?:(?!\*/).)*)\*/\n((?:[a-z][\w ]*[ *]+vp2p_\w+\([^;{]*\);\n)+)", re.S)
ANY_CALL = {"EINVAL", "ENOMEM", "ENODEV"}


def functions(text):
    """name: (comment, parameters)"""
    found = {}
    for comment, declarations in DECLARATION.findall(text):
        comment = " ".join(re.sub(r"^ \* ?", "", line) for line in comment.splitlines())
        for name, parameters in re.findall(r"(vp2p_\w+)\(([^;]*)\);", declarations):
            words = [re.sub(r"\[.*", "", p).split()[-1].lstrip("*") for p in parameters.split(",") if p.strip() != "void"]
            found[name] = (re.sub(r"\s+", " ", comment), words)
    return found


def declared(text):
    return set(re.findall(r"^[a-z][\w \*]*[ *](vp2p_\w+)\(", text, re.M)) - set(re.findall(r"\w+_fn\b", text))


def like(name, all_of_them):
    """The comment whose words hold for this function, too."""
    comment, _ = all_of_them[name]
    other = re.search(r"\bLike (vp2p_\w+)\(\)", comment)
    return all_of_them[other.group(1)][0] if other and other.group(1) in all_of_them else ""


def undescribed(all_of_them):
    for name, (comment, parameters) in all_of_them.items():
        if name not in comment.split(" - ")[0]:
            yield f"{name}: its comment is another's"
        one_line = "@" not in comment and len(parameters) <= 1
        text = comment + like(name, all_of_them)
        for parameter in parameters:
            if not one_line and f"@{parameter}:" not in text and f"@{parameter} " not in text:
                yield f"{name}: @{parameter} is not described"
        if "err" in parameters and "Return:" not in text:
            yield f"{name}: it can fail, and does not say how"


def returned(comment):
    """The errors below "Return:"."""
    after = comment.partition("Return:")[2]
    return set(re.findall(r"-(E[A-Z0-9]+)\b", after))


def page_of(name):
    text = (TOP / "man" / "man3" / f"{name}.3").read_text()
    alias = re.match(r"\.so (\S+)", text)
    return (TOP / "man" / alias.group(1)).read_text() if alias else text


def page_errors(page):
    parts = re.split(r"^\.SH ", page, flags=re.M)
    return {e for p in parts if re.match(r"ERRORS|RETURN VALUE", p) for e in re.findall(r"\b(E[A-Z][A-Z0-9]+)\b", p)} - {"ERRORS"}


def differing_errors(all_of_them):
    """By page: several functions may share one."""
    pages = {}
    for name, (comment, _) in all_of_them.items():
        page = page_of(name)
        pages.setdefault(page, [[], set()])
        pages[page][0].append(name)
        pages[page][1] |= returned(comment) | returned(like(name, all_of_them))
    for page, (names, errors) in pages.items():
        for one in sorted(errors - page_errors(page) - ANY_CALL):
            yield f"{names[0]}(3) does not have {one}, which the header has"
        for one in sorted(page_errors(page) - errors - ANY_CALL):
            yield f"{names[0]}(3) has {one}, which the header does not have"


def main():
    tap, text = Tap(), HEADER.read_text()
    found = functions(text)
    tap.ok(len(found) >= 50, f"the header declares functions: {len(found)}")
    tap.none(sorted(declared(text) - set(found)), "each has a comment")
    tap.none(undescribed(found), "which describes its parameters, and what it returns")
    tap.none(differing_errors(found), "its manual page has the same errors")
    broken = functions("/**\n * vp2p_x() - x\n * @a: a\n */\nint vp2p_x(int a, int b, struct vp2p_error *err);\n")
    tap.ok(len(list(undescribed(broken))) == 3, "what is missing is noticed")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
