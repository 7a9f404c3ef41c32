#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every command in the documentation is run by somebody.

Theory: commands on pages rot, since nobody follows a page after the first time.  So each is
found by the rules of tests/docs/pages.py, and tests/docs/commands.toml has to say who runs it:
the machine suite `docs` (all of vfio-p2p's, with no entry), this test, the test runner's own
parser, or another test, which has to exist and to have the words that do it.  A command that
nobody runs fails; so does an entry that matches nothing any more.  Those of the machine are
tried here as well, with a played device and on a machine without one: what is left then is the
command line, and status 2 means that it is wrong.  Words in the prose are held against the
tool's help, the Makefile and the tree.

usage: docs_commands.py TOOL BUILD_ROOT [SANITIZER]
"""

import importlib.machinery
import importlib.util
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path[:0] = [str(TOP / "tests" / "docs"), str(TOP / "tests" / "vm")]

import config    # noqa: E402
import pages     # noqa: E402
import table     # noqa: E402
from tap import Tap    # noqa: E402


def nobody_runs(commands, who):
    return [f"{c.place()}: {c.text}" for c in commands if who.kind(c) is None]


def unused(commands, who):
    """Entries that match no command, or whose evidence is not there."""
    for kind in ("host", "runner", "elsewhere", "nowhere", "machine"):
        for entry in who.entries(kind):
            if not any(who.fits(entry, c) for c in commands):
                yield f"[[{kind}]] '{entry['match']}' matches no command"
    for entry in who.entries("session"):
        if not any(c.page == entry["page"] for c in commands):
            yield f"[[session]] {entry['page']} has no command"


def missing_evidence(who):
    suites = config.suites()
    for entry in who.entries("elsewhere"):
        path = TOP / entry["file"]
        if not path.is_file() or entry["says"] not in path.read_text():
            yield f"'{entry['match']}': {entry['file']} does not say: {entry['says']}"
        if "suite" in entry and entry["suite"] not in suites:
            yield f"'{entry['match']}': there is no suite {entry['suite']}"
    for entry in who.entries("nowhere"):
        text = " ".join((TOP / entry["page"]).read_text().split())
        if entry["says"] not in text:
            yield f"'{entry['match']}': {entry['page']} does not own up to it: {entry['says']}"


def tool_words(text):
    """The words of each call of vfio-p2p in a command line."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = []
    for word in [*lexer, ";"]:
        if not re.fullmatch(r"[|&;<>()]+", word):
            words.append(word)
            continue
        if words[:1] == ["trace-cmd"] and "--" in words:
            words = words[words.index("--") + 1:]
        words = words[1:] if words[:1] == ["sudo"] else words
        if words[:1] == ["vfio-p2p"]:
            yield words[1:]
        words = []


def played(tool, folder, words):
    """The status of a call where there is no device at all, but the files that pages speak of."""
    environment = os.environ | {"VFIO_P2P_ROOT": str(folder / "root"), "PLAYED": str(folder)}
    done = subprocess.run(["timeout", "20", tool, *words], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    return done.returncode, done.stderr


def wrong_command_lines(commands, who, tool, scratch):
    for name in ("data.bin", "load.c"):
        (scratch / name).write_bytes(b"x" * 65536)
    for folder in ("sys/bus/pci/devices", "sys/bus/pci/drivers", "proc/self", "run"):
        (scratch / "root" / folder).mkdir(parents=True, exist_ok=True)
    for command in commands:
        if who.kind(command) not in ("machine", "host"):
            continue
        for words in tool_words(command.text):
            words = [w.replace("/data/data.bin", "data.bin") for w in words]
            # Without a device it would look for one once a second.
            words = [w for w in words if w != "--watch"]
            status, said = played(tool, scratch, words)
            if status == 2:
                yield f"{command.place()}: {command.text}: {said}"


def runner():
    loader = importlib.machinery.SourceFileLoader("tests_run", str(TOP / "tests" / "run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("tests_run", loader))
    loader.exec_module(module)
    return module


def wrong_words_for_runner(commands, who):
    run = runner()
    for command in commands:
        if who.kind(command) != "runner":
            continue
        words = shlex.split(re.sub(r"^(\w+=\S+ )+", "", command.text))
        sys.argv = words
        try:
            args = run.arguments()
            run.chosen_suites(args.what)
            run.chosen_kernels(args.kernel)
        except (SystemExit, config.ConfigError) as err:
            yield f"{command.place()}: {command.text}: {err}"


def install(build, scratch, sanitizer):
    """An installed copy, and a compiler that knows what it was built with."""
    subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--destdir", scratch / "installed"],
                   check=True, capture_output=True)
    pc = next((scratch / "installed").rglob("libvfio-p2p.pc"))
    (scratch / "bin").mkdir()
    cc = scratch / "bin" / "cc"
    cc.write_text(f'#!/bin/sh\nexec {shutil.which("cc")} {sanitizer} "$@"\n')
    cc.chmod(0o755)
    return os.environ | {"PATH": f"{scratch / 'bin'}:{os.environ['PATH']}", "PKG_CONFIG_PATH": str(pc.parent),
                         "PKG_CONFIG_SYSROOT_DIR": str(scratch / "installed")}


def run_here(commands, who, tool, environment, scratch):
    """What the page's commands for this machine do, in a shell."""
    (scratch / "bin" / "vfio-p2p").symlink_to(tool)
    source = next(b.text for b in pages.blocks(TOP / "docs" / "quickstart.md") if b.text.startswith("/* load.c"))
    (scratch / "load.c").write_text(source)
    for command in commands:
        if who.kind(command) == "host":
            done = subprocess.run(["sh", "-c", command.text], cwd=scratch, env=environment, capture_output=True, text=True)
            if done.returncode:
                yield f"{command.place()}: {command.text}: status {done.returncode}: {done.stderr}"


def helps(tool):
    overview = subprocess.run([tool, "help"], capture_output=True, text=True).stdout
    names = re.findall(r"^  ([a-z]+) +[A-Z]", overview.split("Commands:")[1], re.M)
    return {n: subprocess.run([tool, "help", n], capture_output=True, text=True).stdout for n in names}


def wrong_prose(tool):
    """Commands in backticks: of the tool, of make, of the tree."""
    known, targets = helps(tool), set(re.findall(r"^([a-z-]+):", (TOP / "Makefile").read_text(), re.M))
    for path in pages.markdown():
        for line, words in pages.inline(path):
            where = f"{pages.name(path)}:{line}: `{words}`"
            plain = words.removeprefix("sudo ")
            if called := re.match(r"vfio-p2p ([a-z]+)", plain):
                help_text = known.get(called.group(1))
                options = re.findall(r"(?<=\s)--[a-z-]+", plain)
                if help_text is None or any(o not in help_text for o in options):
                    yield f"{where}: there is no such command or option"
            elif (made := re.match(r"make ([a-z-]+)$", plain)) and made.group(1) not in targets:
                yield f"{where}: the Makefile has no such target"
            elif (place := re.match(r"((?:tests|tools|docs|cli|lib|module|examples|demo|include|man|system|debian)/[\w./*-]+)", plain)) \
                    and "NAME" not in plain and not list(TOP.glob(place.group(1).rstrip("/"))):
                yield f"{where}: there is no such file"
            elif re.fullmatch(r"(t|lib|cli|module)_[a-z0-9_]+", plain) and not known_test(plain):
                yield f"{where}: there is no such test"


def known_test(name):
    folders = (TOP / "tests" / "guest", TOP / "tests" / "unit")
    return any(list(folder.glob(f"{name}.*")) for folder in folders) or name == "t_NAME"


def main():
    tool, build, sanitizer = str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2], "".join(sys.argv[3:4])
    tap, who, commands = Tap(), table.Table(), pages.commands()
    tap.ok(len(commands) > 100, f"the pages have commands: {len(commands)}")
    tap.none(nobody_runs(commands, who), "every command is run by somebody")
    tap.none(unused(commands, who), "every entry of the table matches a command")
    tap.none(missing_evidence(who), "what the table names as run elsewhere is there")
    invented = pages.commands_of("Do this:\n\n    vfio-p2q frobnicate\n\n```sh\nmake -C nowhere\n```\n")
    tap.ok(len(nobody_runs(invented, who)) == 2, "a command that nobody runs is noticed")
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        tap.none(wrong_command_lines(commands, who, tool, scratch), "no command line is wrong")
        wrong = pages.commands_of("Text.\n\n    vfio-p2p list --frobnicate\n    sudo vfio-p2p nothing 03:00.0\n")
        tap.ok(len(list(wrong_command_lines(wrong, who, tool, scratch))) == 2, "... and one that is would be noticed")
        tap.none(run_here(commands, who, tool, install(build, scratch, sanitizer), scratch), "the commands for this machine work")
    tap.none(wrong_words_for_runner(commands, who), "the test runner understands its own")
    tap.none(wrong_prose(tool), "commands, files and tests that the prose names exist")
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
