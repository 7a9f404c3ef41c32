# SPDX-License-Identifier: MIT
"""The texts that the sources make, and those that pages quote, in one form.

What differs from case to case is a mark in both: a directive of printf in the source, <...> or
a number on the page.  Then a quoted text is right if some literal of the sources contains it.
"""

import re

from pages import TOP

MARK = "\0"
TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|/\*.*?\*/|//[^\n]*|\s+|[A-Za-z_]\w*|.', re.S)
DIRECTIVE = re.compile(r"%(?:[-+ #0]*\d*\{PRI\w+\}|[-+ #0]*(?:\d+|\*)?(?:\.(?:\d+|\*))?(?:hh?|ll?|z|j|t)?[a-zA-Z])")


def _escape(text):
    return text.replace('\\"', '"').replace("\\n", "\n").replace("\\t", "\t").replace("\\\\", "\\")


def literals(text, macros=None):
    """String literals, those that the compiler joins in one; MEND ends one, as it ends a cause."""
    found, current, waiting = [], None, ""
    for match in TOKEN.finditer(text):
        token = match.group(0)
        if token[0] == '"' and len(token) > 1:
            current = (current or "") + waiting + token[1:-1] if current is not None else waiting + token[1:-1]
            waiting = ""
        elif token.isspace() or token.startswith(("/*", "//")):
            continue
        elif token.startswith("PRI") and current is not None:
            waiting += "{" + token + "}"
        elif macros and token in macros:
            waiting += macros[token]
        else:
            if current is not None or waiting:
                found.append((current or "") + waiting)
            current, waiting = None, ""
    return [_escape(s) for s in found]


def _macros():
    found = {}
    for folder in ("lib", "cli"):
        for path in sorted((TOP / folder).glob("*.[ch]")):
            for name, value in re.findall(r'^#define\s+(\w+)\s+"((?:[^"\\\n]|\\.)*)"\s*(?:/\*.*)?$', path.read_text(), re.M):
                found[name] = value
    found.pop("MEND", None)
    return found


def normal(text):
    """A text of the sources."""
    text = DIRECTIVE.sub(MARK, text.replace("%%", "%"))
    return re.sub(MARK + "+", MARK, text).strip("\n")


def sources():
    """All texts that a user of the driver, the library or the command can see."""
    macros, found = _macros(), set()
    for folder in ("lib", "cli", "module"):
        for path in sorted((TOP / folder).glob("*.[ch]")):
            text = path.read_text()
            found |= {normal(s) for s in literals(text, macros)}
            found |= {normal(_escape(s)) for s in re.findall(r'^#error "(.*)"$', text, re.M)}
    script = (TOP / "debian" / "why_not").read_text()
    found |= {re.sub(MARK + "+", MARK, re.sub(r"\$\w+", MARK, s)) for s in re.findall(r'"((?:[^"\\\n]|\\.)*)"', script)}
    return found


def tests_words():
    """What tests of the machine expect of the kernel's log."""
    found = ""
    for path in sorted((TOP / "tests" / "guest").glob("t_*.c")):
        found += "\n".join(re.findall(r'h_expect_log\("((?:[^"\\\n]|\\.)*)"\)', path.read_text())) + "\n"
    return found


def quoted(text):
    """A text of a page."""
    return re.sub(MARK + "+", MARK, re.sub(r"<[^<>]+>", MARK, text))


def rows(path, header):
    """(line, cells) of all tables that have this header; escaped bars are the reader's."""
    lines, inside = path.read_text().splitlines(), False
    for number, line in enumerate(lines, 1):
        if not line.startswith("|"):
            inside = False
            continue
        cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells[:len(header)] == header:
            inside = True
        elif inside and not set(line) <= set("|-: "):
            yield number, cells


def in_backticks(cell):
    return re.findall(r"`([^`]+)`", cell)
