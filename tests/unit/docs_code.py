#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Code on the pages compiles.

Theory: it is what a reader copies first, and no compiler reads it.  Each block of C is a file,
or a piece of a function for which tests/docs/commands.toml has what stands before it; it has to
compile against the headers of this tree without a warning.  So have the examples of the manual
pages.  Python and TOML are read by their own parsers.

usage: docs_code.py CC
"""

import pathlib
import re
import subprocess
import sys
import tomllib

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(TOP / "tests" / "docs"))

import pages     # noqa: E402
import table     # noqa: E402
from tap import Tap    # noqa: E402

LANGUAGES = {"sh", "c", "python", "toml", "text"}
WARNINGS = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-result", "-Wno-unused-variable",
            "-Wno-unused-but-set-variable", "-Wno-unused-parameter", "-Wno-missing-field-initializers",
            "-Wno-unused-function"]


def is_file(text):
    """Has it a function's body at the margin?"""
    return re.search(r"^\{$", text, re.M)


def whole(text, before=""):
    if is_file(text):
        return text
    heads = "".join(re.findall(r"^#.*\n", text, re.M))
    body = re.sub(r"^#.*\n", "", text, flags=re.M)
    return (f"#define _GNU_SOURCE\n{heads}#include <stdio.h>\n#include <fcntl.h>\n#include <unistd.h>\n{before}\n"
            f"int piece(void);\nint piece(void)\n{{\n{body}\nreturn 0;\n}}\n")


def complaint(cc, text):
    includes = [f"-I{TOP / folder}" for folder in ("include", "include/uapi", "tests/guest", "examples")]
    done = subprocess.run([cc, *WARNINGS, *includes, "-x", "c", "-fsyntax-only", "-"], input=text,
                          capture_output=True, text=True)
    return done.stderr if done.returncode else ""


def before(who, block):
    return next((e["before"] for e in who.entries("fragment") if e["page"] == block.page), "")


def check(cc, who, block):
    if block.language == "c":
        return complaint(cc, whole(block.text, before(who, block)))
    try:
        if block.language == "python":
            compile(block.text, block.page, "exec")
        if block.language == "toml":
            tomllib.loads(block.text)
    except (SyntaxError, tomllib.TOMLDecodeError) as err:
        return str(err)
    return ""


def dedent(block):
    """A block inside of a list is indented with it."""
    lines = block.text.splitlines()
    margin = min((len(l) - len(l.lstrip(" ")) for l in lines if l.strip()), default=0)
    return pages.dataclasses.replace(block, text="\n".join(l[margin:] for l in lines) + "\n")


def manual_examples():
    """What stands between .nf and .fi below EXAMPLES, as C."""
    for path in pages.manuals():
        after = re.split(r"^\.SH EXAMPLES?$", path.read_text(), flags=re.M)[1:]
        for text in re.findall(r"^\.nf\n(.*?)^\.fi$", after[0] if after and path.suffix == ".3" else "", re.M | re.S):
            yield path, text.replace("\\e", "\\").replace("\\-", "-")


def main():
    cc, tap, who = sys.argv[1], Tap(), table.Table()
    blocks = [dedent(b) for p in pages.markdown() for b in pages.blocks(p)]
    tap.none((f"{b.page}:{b.line}: ```{b.language}" for b in blocks if b.language not in LANGUAGES),
             "every block says what it is")
    code = [b for b in blocks if b.language in ("c", "python", "toml")]
    tap.ok(len(code) >= 10, f"the pages have code: {len(code)} blocks")
    for block in code:
        said = check(cc, who, block)
        tap.ok(not said, f"{block.page}:{block.line}: {block.language}", said.splitlines())
    examples = list(manual_examples())
    tap.ok(examples, "manual pages have examples")
    for path, text in examples:
        said = complaint(cc, whole(text, "#include <vfio-p2p.h>\nint fd; ssize_t n;"))
        tap.ok(not said, f"{pages.name(path)}: the example", said.splitlines())
    tap.ok(complaint(cc, whole("vp2p_close(1, 2, 3);", "#include <vfio-p2p.h>")), "what does not compile is noticed")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
