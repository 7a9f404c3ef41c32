#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Links lead somewhere, and every page can be found.

Theory: a page is renamed, a heading is mended, and who follows the link lands nowhere; or a
page is written and nobody links it.  So every relative link of every page is followed, to its
file and its heading's anchor; every page of docs/ has to be in the README's table; and every
reference of a manual page to one of ours has to name a page that is there.

usage: docs_links.py
"""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(TOP / "tests" / "docs"))

import pages     # noqa: E402
from tap import Tap    # noqa: E402

LINK = re.compile(r"\]\(([^)\s]+)\)")


def links(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        for target in LINK.findall(re.sub(r"`[^`]*`", "", line)):
            if "://" not in target:
                yield number, target


def broken(path, text):
    for number, target in links(path, text):
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        if not there.exists():
            yield f"{pages.name(path)}:{number}: {target}: there is no such file"
        elif anchor and (there.suffix != ".md" or anchor not in pages.anchors(there)):
            yield f"{pages.name(path)}:{number}: {target}: there is no such heading"


def unlinked():
    table = (TOP / "README.md").read_text()
    for path in sorted((TOP / "docs").glob("*.md")):
        if f"](docs/{path.name})" not in table:
            yield f"README.md does not link docs/{path.name}"


def broken_references():
    for path in pages.manuals():
        for name, section in re.findall(r"\b(vp2p_\w+|libvfio-p2p|p2p-vfio-pci|vfio-p2p(?:\.conf)?) \((\d)\)",
                                        path.read_text().replace("\\-", "-")):
            if not (TOP / "man" / f"man{section}" / f"{name}.{section}").exists():
                yield f"{pages.name(path)}: there is no {name}({section})"


def main():
    tap, count = Tap(), 0
    for path in pages.markdown():
        count += len(list(links(path, path.read_text())))
    tap.ok(count > 100, f"the pages have links: {count}")
    tap.none((f for p in pages.markdown() for f in broken(p, p.read_text())), "every link leads to a file and a heading")
    readme = TOP / "README.md"
    wrong = "[a](docs/nothing.md) [b](docs/why.md#nothing) [c](#nothing) [d](docs/why.md#the-problem)"
    tap.ok(len(list(broken(readme, wrong))) == 3, "broken ones are noticed")
    tap.none(unlinked(), "the README leads to every page")
    tap.none(broken_references(), "manual pages refer to pages that are there")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
