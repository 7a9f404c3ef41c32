#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The library's binary interface is the one that is written down in lib/libvfio-p2p.abi.

Theory: a program that was built yesterday calls by yesterday's types.  So what the
debug information of the shared library says (abidw of abigail-tools reads it) of every
exported function, and of every structure that one can see through them, is one line each,
and compared with the lines in git; so are the header's constants, which no function shows.  A line that changed or went breaks
programs; one that is new has to be written down, which is a review.

usage: lib_abi.py LIBRARY BASELINE HEADERS          compare (TAP)
       lib_abi.py --write LIBRARY BASELINE HEADERS  write the baseline anew
"""

import pathlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree

HEAD = """# SPDX-License-Identifier: MIT
# The library's binary interface on x86-64: constants, functions, structures (size; offset
# type name of each member, in bytes).  Compared by tests/unit/lib_abi.py, written by it.
"""


class Abi:
    def __init__(self, xml_text):
        self.root = xml.etree.ElementTree.fromstring(xml_text)
        self.by_id = {e.get("id"): e for e in self.root.iter() if e.get("id")}

    def name(self, type_id):
        e = self.by_id[type_id]
        if e.tag == "pointer-type-def":
            return self.name(e.get("type-id")) + "*"
        if e.tag == "qualified-type-def":
            return "const " * (e.get("const") == "yes") + self.name(e.get("type-id"))
        if e.tag == "array-type-def":
            return f"{self.name(e.get('type-id'))}[{e.find('subrange').get('length')}]"
        if e.tag == "function-type":
            return "function" + self.signature(e)
        if e.tag == "class-decl":
            return f"struct {e.get('name')}"
        return e.get("name")

    def signature(self, e):
        of = ", ".join("..." if p.get("is-variadic") else self.name(p.get("type-id"))
                       for p in e.findall("parameter"))
        back = e.find("return")
        return f"({of}) -> {self.name(back.get('type-id')) if back is not None else 'void'}"

    def structure(self, e):
        members = [(int(m.get("layout-offset-in-bits")) // 8, m.find("var-decl"))
                   for m in e.findall("data-member")]
        size = int(e.get("size-in-bits")) // 8
        return f"struct {e.get('name')} {size}: " + "; ".join(
            f"{at} {self.name(v.get('type-id'))} {v.get('name')}" for at, v in members)

    def lines(self):
        exported = {e.get("name") for e in self.root.iter("elf-symbol")}
        for e in self.root.iter():
            name = e.get("name") or ""
            if e.tag == "function-decl" and name in exported:
                exported.remove(name)
                yield f"function {name}{self.signature(e)}"
            elif not name.startswith("vp2p_"):
                continue
            elif e.tag == "class-decl" and e.get("is-declaration-only") != "yes":
                yield self.structure(e)
            elif e.tag == "typedef-decl":
                yield f"typedef {name} = {self.name(e.get('type-id'))}"
        yield from (f"symbol {name}" for name in exported)


CONSTANT = re.compile(r"^(?:\t|#define )(VP2P_\w+)(?: = |\t+)([^,/\n]+)", re.MULTILINE)


def constants(header):
    return {f"constant {name} = {value.strip()}" for name, value in CONSTANT.findall(header.read_text())}


def current(library, headers):
    out = subprocess.run(["abidw", "--headers-dir", headers, "--drop-private-types", library],
                         check=True, capture_output=True, text=True).stdout
    return sorted(set(Abi(out).lines()) | constants(pathlib.Path(headers, "vfio-p2p.h")))


def compare(now, then):
    gone = [line for line in then if line not in now]
    new = [line for line in now if line not in then]
    print("1..3")
    for n, (rest, title) in enumerate(((([] if len(now) > 30 else ["too few lines"]), "there is an interface"),
                                       (gone, "nothing changed or went that programs use"),
                                       (new, "what is new is written down (lib_abi.py --write)")), 1):
        print(f"{'not ' if rest else ''}ok {n} - {title}")
        print("".join(f"# {line}\n" for line in rest), end="")
    return bool(gone or new or len(now) <= 30)


def main():
    write = sys.argv[1:2] == ["--write"]
    library, baseline, headers = sys.argv[1 + write:]
    if not shutil.which("abidw"):
        print("1..0 # SKIP no abidw: see tools/deps")
        return 0
    now = current(library, headers)
    if write:
        pathlib.Path(baseline).write_text(HEAD + "\n".join(now) + "\n")
        return 0
    return compare(now, [line for line in pathlib.Path(baseline).read_text().splitlines()
                         if not line.startswith("#")])


if __name__ == "__main__":
    sys.exit(main())
