# SPDX-License-Identifier: MIT
"""The machine of the demo: the runner of the machine tests, with a stage of our own."""

import pathlib
import re
import shlex
import subprocess
import sys
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "vm"))

import boot         # noqa: E402
import config       # noqa: E402
import drive        # noqa: E402
import initramfs    # noqa: E402

FAILURES = (boot.BuildError, config.ConfigError, initramfs.InitramfsError)

# One more disk on the drive of the display's topology.  By its id the guest has
# it throttled.
DISK = """
-drive if=none,id=pictures,file={disk},format=raw,snapshot=on,cache=unsafe
-device nvme-ns,drive=pictures,bus=nvme,nsid=9
"""
STORY, FACT, BAIL = "    # |", "    # = ", "    Bail out! "


def kernel():
    """The newest stock 7.3, fetched if need be: its description and its folder."""
    described = config.kernels()["7.3"]
    return described, boot.fetch_kernel(described)


def emulator():
    """QEMU's name and version, fetched if need be."""
    says = subprocess.run([*boot.emulator(), "--version"], check=True, capture_output=True, text=True).stdout
    return "QEMU " + re.search(r"version (\S+)", says).group(1)


def build(described, kernel_dir, the_suite):
    """The driver, and what else of the machine tests runs in the guest."""
    boot.build_modules(described, kernel_dir, the_suite)
    boot.build_guest(the_suite)


# The drive logs the addresses it is given (drive.py).  With iommu=pt they are those
# on the bus, not an IOMMU's, so that the BAR can be recognised in them.
EMULATOR_LOG = TOP / "build" / "demo" / "emulator.log"


def suite(program):
    return config.Suite(
        name="demo", about="the demo", topology="demo", append="iommu=pt",
        qemu=shlex.join([*(w for event in drive.EVENTS for w in ("-trace", event)), "-D", str(EMULATOR_LOG)]),
        modules=["nvme", "vfio_iommu_type1", "p2p-vfio-pci"], available=["ext4"],
        files={"/bin/demo": program},
        tests=[config.Test(run=["/bin/demo"], name="demo", timeout=90)])


def _topology(disk):
    base = config.topologies()["bochs"]
    return config.Topology("demo", "pictures and a display",
                           base.qemu + shlex.split(DISK.format(disk=disk)), base.roles | {"ext4": "nvme:9"})


class Listener:
    """Follows the guest's verdict port: tells the story as it comes, keeps the facts."""

    def __init__(self, path, tell):
        self.path, self.tell = path, tell
        self.facts = {}
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._follow, daemon=True)
        self.thread.start()

    def _line(self, line):
        if line.startswith(STORY):
            self.tell(line[len(STORY):].removeprefix(" "))
        elif line.startswith(FACT):
            name, value = line[len(FACT):].split(" ", 1)
            self.facts[name] = int(value)
        elif line.startswith(BAIL):
            self.tell("  ! " + line[len(BAIL):])

    def _follow(self):
        done, last = 0, False
        while not last:
            last = self.ended.is_set()    # one more look after the end
            text = self.path.read_bytes() if self.path.exists() else b""
            whole = text.rfind(b"\n") + 1
            if whole < done:    # the runner starts again when the emulator has failed the kernel
                done = 0
                self.facts.clear()
            for line in text[done:whole].decode(errors="replace").splitlines():
                self._line(line.rstrip("\r"))
            done = whole
            time.sleep(0.05)

    def close(self):
        self.ended.set()
        self.thread.join()


def play(described, kernel_dir, the_suite, disk, tell):
    """Boot, tell what the guest tells; (boot.Outcome, the guest's facts, the emulator's log)."""
    results = TOP / "build" / "demo" / "vm"
    tap = boot.folder_of(results, described, the_suite) / "verdict.tap"
    for old in (tap, EMULATOR_LOG):
        old.unlink(missing_ok=True)
    listener = Listener(tap, tell)
    try:
        outcome = boot.boot(the_suite, described, kernel_dir, _topology(disk), results)
    finally:
        listener.close()
    return outcome, listener.facts, EMULATOR_LOG.read_text() if EMULATOR_LOG.exists() else ""
