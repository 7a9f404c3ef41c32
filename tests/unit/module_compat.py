#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A kernel that lacks what the driver needs ends the build with a sentence.

Theory: a probe that looks in the wrong header, or for a name that nobody asks for, finds nothing
and is noticed by nobody as long as only kernels are built for that have all.  So the probes of
module/Kbuild run here on headers of our own: all there, and one name at a time missing; then its
word must be missing, and no other.  What they say is given to module/compat.h: with all of it the
preprocessor must be content, and without one word, or one option, it must name what is missing.
What the driver can do without (OPTIONAL) must end nothing.

usage: module_compat.py CC...
"""

import pathlib
import re
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(TOP / "tests" / "docs"))

from tap import Tap    # noqa: E402

MODULE = TOP / "module"
PROBE = re.compile(r"\$\(call p2p-has,(\w+),([\w.-]+),(\w+)\)")
OPTIONAL = {"FIND_BTF_ID"}
OPTIONS = ["X86_64", "PCI_P2PDMA", "VFIO_PCI_CORE", "PREEMPTION", "TASKS_RCU", "TRANSPARENT_HUGEPAGE"]
# Without which the build must end, and the words that say so.
NEEDED = {"X86_64": "only x86-64", "PCI_P2PDMA": "CONFIG_PCI_P2PDMA=y", "VFIO_PCI_CORE": "CONFIG_VFIO_PCI",
          "TASKS_RCU": "CONFIG_TASKS_RCU"}
KCONFIG = "#define IS_ENABLED(option) (option)\n"


def headers(folder, probes, but=None):
    """A kernel's headers, with each name but one."""
    for header in {h for _, h, _ in probes}:
        path = folder / "include" / "linux" / header
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"int {name}(void);\n" for name, h, _ in probes if h == header and name != but))


def found(folder):
    """What Kbuild's probes find in these headers."""
    rules = "include $(src)/Kbuild\nall: ; @echo $(ccflags-y)\n"
    flags = subprocess.run(["make", "-s", "-f", "-", f"src={MODULE}", f"srctree={folder}"],
                           input=rules, capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"-DP2P_HAVE_(\w+)", flags))


def complaint(compiler, stub, words, options):
    """What the preprocessor says of compat.h; empty if it is content."""
    defines = [f"-DP2P_HAVE_{w}" for w in words] + [f"-DCONFIG_{o}=1" for o in options]
    done = subprocess.run([*compiler, "-E", "-I", str(stub), *defines, str(MODULE / "compat.h"), "-o", "/dev/null"],
                          capture_output=True, text=True)
    errors = re.findall(r'error: .*?"(.*)"', done.stderr)
    return "; ".join(errors) if done.returncode else ""


def main():
    compiler = sys.argv[1:]
    probes = PROBE.findall((MODULE / "Kbuild").read_text())
    words = {word for _, _, word in probes}
    tap = Tap()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "stub" / "linux").mkdir(parents=True)
        (folder / "stub" / "linux" / "kconfig.h").write_text(KCONFIG)
        headers(folder, probes)
        said = complaint(compiler, folder / "stub", words, OPTIONS)
        tap.ok(found(folder) == words and not said, "a kernel that has all", [said])
        for name, _, word in probes:
            headers(folder, probes, but=name)
            left = found(folder)
            said = complaint(compiler, folder / "stub", left, OPTIONS)
            tap.ok(left == words - {word} and (not said if word in OPTIONAL else name in said and "needed" in said),
                   f"one without {name}", [said])
        for option, text in NEEDED.items():
            said = complaint(compiler, folder / "stub", words, [o for o in OPTIONS if o != option])
            tap.ok(text in said, f"one without CONFIG_{option}", [said])
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
