# SPDX-License-Identifier: MIT
"""What the documentation holds: pages, blocks of code, commands.

How a page is read:
  - a line that is indented by four blanks, or stands in a block of ```sh, is a command;
  - a block of ```c, ```python or ```toml is code of that language;
  - a block of ```text is neither: what a command prints, a drawing, a table of words.
In a manual page (but those of functions) the lines between .nf and .fi that are indented by four blanks are commands;
so is each line of a command's examples in the command table (cli/*.c).
What follows two blanks, " # " or " ... " after a command explains it.
"""

import dataclasses
import pathlib
import re

TOP = pathlib.Path(__file__).resolve().parents[2]
STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')


@dataclasses.dataclass(frozen=True)
class Command:
    page: str       # relative to the top of the tree
    line: int
    text: str       # as one would type it

    def place(self):
        return f"{self.page}:{self.line}"


@dataclasses.dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str


def markdown():
    return sorted([*TOP.glob("*.md"), *(TOP / "docs").glob("*.md")])


def manuals():
    return sorted((TOP / "man").glob("man*/*.[1-9]"))


def name(path):
    return str(path.relative_to(TOP))


def strip_comment(line):
    """The command alone.  Quotes and $() protect what is in them."""
    quote, depth, i = "", 0, 0
    while i < len(line):
        c = line[i]
        if quote:
            quote = "" if c == quote else quote
        elif c in "'\"":
            quote = c
        elif c in "()":
            depth += 1 if c == "(" else -1
        elif c == " " and not depth and re.match(r"  |\s#\s|\s\.\.\.\s", line[i:]):
            return line[:i].strip()
        i += 1
    return line.strip()


def blocks(path, text=None):
    """All blocks of a page; what is indented by four blanks has the language "sh"."""
    lines = (path.read_text() if text is None else text).splitlines()
    found, fence, before = [], None, ""
    for number, line in enumerate(lines, 1):
        # A line below a paragraph goes on with it, however far it is indented.
        indented = line.startswith("    ") and bool(line.strip()) and (not before.strip() or before.startswith("    "))
        before = line if indented or not line.startswith("    ") else "paragraph"
        mark = re.match(r"( {0,3})```(\w*)$", line)
        if fence is None and mark:
            fence = Block(name(path), number + 1, mark.group(2), "")
        elif fence is not None and re.match(r" {0,3}```$", line):
            found.append(fence)
            fence = None
        elif fence is not None:
            fence = dataclasses.replace(fence, text=fence.text + line + "\n")
        elif indented:
            found.append(Block(name(path), number, "sh", line[4:] + "\n"))
    if fence is not None:
        raise ValueError(f"{fence.page}:{fence.line - 1}: this block does not end")
    return found


def _markdown_commands(path, text=None):
    for block in blocks(path, text):
        if block.language == "sh":
            for number, line in enumerate(block.text.splitlines(), block.line):
                if command := strip_comment(line.strip()):
                    yield Command(block.page, number, command)


def _manual_commands(path):
    inside = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        inside = (inside or line == ".nf") and line != ".fi"
        if inside and line.startswith("    "):
            plain = line.strip().replace("\\-", "-").replace("\\e", "\\")
            yield Command(name(path), number, strip_comment(plain))


def _help_examples(path):
    """The lines of .examples, and of the overview, that are commands."""
    text = path.read_text()
    for found in re.finditer(r"(?:\.examples =|introduction\[\] =)\s*((?:\"(?:[^\"\\\n]|\\.)*\"\s*)+)", text):
        number = text.count("\n", 0, found.start(1)) + 1
        joined = "".join(s.encode().decode("unicode_escape") for s in STRING.findall(found.group(1)))
        for line in joined.splitlines():
            if re.match(r"  (vfio-p2p|trace-cmd) ", line):
                yield Command(name(path), number, strip_comment(line.strip()))


def commands():
    found = [c for path in markdown() for c in _markdown_commands(path)]
    found += [c for path in manuals() if path.suffix != ".3" for c in _manual_commands(path)]
    found += [c for path in sorted((TOP / "cli").glob("*.c")) for c in _help_examples(path)]
    return found


def commands_of(text, page="docs/invented.md"):
    """For the tests of the tests."""
    return list(_markdown_commands(TOP / page, text))


def inline(path):
    """(line, words) of what stands in backticks in the prose."""
    fenced = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if re.match(r" {0,3}```", line):
            fenced = not fenced
        elif not fenced and not line.startswith("    "):
            for words in re.findall(r"(?<!`)`([^`]+)`(?!`)", line):
                yield number, words


def slug(heading):
    """The anchor that a heading gets."""
    heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip().lower())
    return re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading)).replace(" ", "-")


def anchors(path):
    found, fenced = set(), False
    for line in path.read_text().splitlines():
        fenced ^= bool(re.match(r" {0,3}```", line))
        if not fenced and (heading := re.match(r"#+ (.*)", line)):
            word, n = slug(heading.group(1)), 0
            while (word if not n else f"{word}-{n}") in found:
                n += 1
            found.add(word if not n else f"{word}-{n}")
    return found
