# SPDX-License-Identifier: MIT
"""Who runs which command: tests/docs/commands.toml, and the machine suite's plan."""

import pathlib
import re
import tomllib

import pages

TABLE = pathlib.Path(__file__).resolve().parent / "commands.toml"
TOOL = r"(sudo )?vfio-p2p .*"
KEYS = {
    "session": {"page", "situation"},
    "machine": {"match", "page", "situation", "with", "before", "ready", "event", "until", "ends", "status"},
    "host": {"match", "page"},
    "runner": {"match", "page"},
    "elsewhere": {"match", "page", "suite", "file", "says", "how"},
    "nowhere": {"match", "page", "says"},
    "fragment": {"page", "language", "before"},
}
SITUATIONS = {"", "unbound", "bound", "window", "both"}


class Table:
    def __init__(self, path=TABLE):
        self.data = tomllib.loads(path.read_text())
        for kind, entries in self.data.items():
            for entry in entries:
                if unknown := set(entry) - KEYS[kind]:
                    raise ValueError(f"{path.name}: [[{kind}]]: unknown key {', '.join(sorted(unknown))}")
                if entry.get("situation", "") not in SITUATIONS:
                    raise ValueError(f"{path.name}: there is no situation '{entry['situation']}'")

    def entries(self, kind):
        return self.data.get(kind, [])

    @staticmethod
    def fits(entry, command):
        return bool(re.fullmatch(entry.get("page", ".*"), command.page)
                    and re.fullmatch(entry.get("match", ".*"), command.text))

    def find(self, kind, command):
        return [e for e in self.entries(kind) if self.fits(e, command)]

    def kind(self, command):
        """Who runs it: "host", "runner", "elsewhere", "nowhere", "machine"; None if nobody does."""
        for kind in ("elsewhere", "nowhere", "host", "runner"):
            if self.find(kind, command):
                return kind
        if re.fullmatch(TOOL, command.text) or self.find("machine", command):
            return "machine"
        return None

    def step(self, command):
        """All that is said of a command of the machine's."""
        step = {}
        for entry in self.find("machine", command):
            step |= entry
        return step

    def situation_of(self, page):
        return next((e["situation"] for e in self.entries("session") if e["page"] == page), "")


def shorten(command, extra):
    """More words for the tool, before what the shell makes of its output."""
    return re.sub(r"^([^|>&]*?)\s*([|>&].*)?$", lambda m: f"{m.group(1)} {extra} {m.group(2) or ''}".strip(), command)


def plan(table, commands):
    """Lines for tests/guest/t_docs.c: fields, and a tab between them."""
    lines, page = [], None
    for command in commands:
        if table.kind(command) != "machine":
            continue
        if command.page != page:
            page = command.page
            lines.append(["page", page, table.situation_of(page)])
        step = table.step(command)
        text = shorten(command.text, step["with"]) if "with" in step else command.text
        lines.append(["run", command.place(), step.get("situation", ""), step.get("before", ""), step.get("ready", ""),
                      "event" if step.get("event") else "", step.get("until", ""), step.get("ends", ""),
                      str(step.get("status", 0)), text])
    assert not any("\t" in field or "\n" in field for line in lines for field in line)
    return "".join("\t".join(line) + "\n" for line in lines)
