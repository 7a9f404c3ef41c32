# SPDX-License-Identifier: MIT
"""One suite on one kernel: build what it needs, boot it, judge it."""

import dataclasses
import fcntl
import functools
import lzma
import os
import pathlib
import re
import shlex
import shutil
import struct
import subprocess
import tempfile
import time

import disks
import initramfs
import machine
import root
import verdict
from config import TOP

DRIVER = "p2p-vfio-pci"
LATE_NS = 300_000_000       # what a command of the disk "late" takes


class BuildError(Exception):
    """What failed, and the output of the command that did."""


@dataclasses.dataclass
class Outcome:
    suite: str
    kernel: str
    seconds: float
    verdict: verdict.Verdict
    folder: pathlib.Path


def _run(what, argv):
    done = subprocess.run(argv, cwd=TOP, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise BuildError(f"{what} failed: {shlex.join(argv)}")
    return done.stdout.strip()


def fetch_kernel(kernel):
    return pathlib.Path(_run(f"fetching kernel {kernel.name}", kernel.fetch))


@functools.cache
def emulator(arch="amd64"):
    """The words that start QEMU; VFIO_P2P_QEMU is for trying another one."""
    if other := os.environ.get("VFIO_P2P_QEMU"):
        return shlex.split(other)
    return _run("fetching the emulator", ["tools/emulator", arch]).splitlines()


@functools.cache
def cross_root(arch):
    """The folder of that architecture's libraries and busybox; None for this machine's own."""
    return None if arch == "amd64" else pathlib.Path(_run(f"fetching libraries for {arch}", ["tools/cross-root", arch]))


def guest_folder(arch):
    return TOP / "build" / ("guest" if arch == "amd64" else f"guest-{arch}")


def _cross_make(arch):
    """make's words for another architecture."""
    if arch == "amd64":
        return []
    root, triplet = cross_root(arch) / "usr", "aarch64-linux-gnu"
    return [f"CC={triplet}-gcc -isystem {root}/include -isystem {root}/include/{triplet} -L{root}/lib/{triplet}",
            f"AR={triplet}-ar", f"OUT={guest_folder(arch)}"]


def build_guest(suite, arch="amd64"):
    """init and the programs of this suite: one that does not compile stops no other suite."""
    wanted = ["init", *sorted({t.run[0] for t in suite.tests if not t.run[0].startswith("/")})]
    out = guest_folder(arch)
    out.mkdir(parents=True, exist_ok=True)
    prefix = out if arch != "amd64" else "../../build/guest"
    with open(out / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _run("building the guest's programs", ["make", "-s", f"-j{os.cpu_count()}", "-C", "tests/guest",
                                               *_cross_make(arch), *(f"{prefix}/{name}" for name in wanted)])


def _wants_driver(suite):
    return any(m.split()[0].replace("_", "-") == DRIVER for m in [*suite.modules, *suite.available])


def build_modules(kernel, kernel_dir, suite):
    """The folders of our own modules that the suite needs."""
    builds = [*suite.build, *([suite.driver] if _wants_driver(suite) else [])]
    folders = []
    for b in builds:
        argv = [*(w.format(release=kernel_dir.name) for w in kernel.module), "--source", b.source, *b.vars]
        if b.variant:
            argv += ["--variant", b.variant]
        folders.append(_run(f"building {b.source} for {kernel.name}", argv))
    return folders


def _unpack_kernel(vmlinuz):
    """The vmlinux inside a bzImage: an emulated CPU is slow at unpacking it."""
    data = vmlinuz.read_bytes()
    offset, length = struct.unpack_from("<II", data, 0x248)
    start = ((data[0x1f1] or 4) + 1) * 512 + offset
    payload = data[start:start + length]
    if payload.startswith(b"\x28\xb5\x2f\xfd"):
        # The last four bytes are the size, which zstd would take for garbage.
        return subprocess.run(["zstd", "-dcq"], input=payload[:-4], check=True, capture_output=True).stdout
    if payload.startswith(b"\xfd7zXZ"):
        return lzma.LZMADecompressor().decompress(payload)
    return None


def vmlinuz(kernel_dir):
    """The kernel as its maker ships it."""
    return next(kernel_dir.glob("usr/lib/modules/*/vmlinuz"))


def boot_image(kernel_dir, arch="amd64"):
    """What QEMU boots: vmlinux by its PVH entry, or the stock image as it is."""
    if arch != "amd64":
        return vmlinuz(kernel_dir)
    vmlinux = kernel_dir / "vmlinux"
    if not vmlinux.exists():
        image = _unpack_kernel(vmlinuz(kernel_dir))
        if image is None:
            return vmlinuz(kernel_dir)
        with tempfile.NamedTemporaryFile(dir=kernel_dir, delete=False) as tmp:
            tmp.write(image)
        os.rename(tmp.name, vmlinux)
    return vmlinux


def _last_words(console):
    """The line of the console that tells why a machine died, if there is one."""
    text = console.read_text(errors="replace") if console.exists() else ""
    for pattern in (r"Kernel panic - not syncing: .*", r"\bWARNING: .*", r"\bBUG: .*", r"Oops.*"):
        if found := re.search(pattern, text):
            return found.group(0).strip()
    return ""


def _judge(suite, folder, in_time, status, timeout):
    tap = folder / "verdict.tap"
    text = tap.read_text(errors="replace") if tap.exists() else ""
    judged = verdict.parse(text, [t.title() for t in suite.tests])
    if not in_time:
        judged.problems.append(f"the machine had not ended after {timeout:.0f} s")
    elif status:
        errors = (folder / "qemu.log").read_text(errors="replace").splitlines()
        said = [line for line in errors if "warning:" not in line]
        judged.problems.append(f"QEMU ended with status {status}: {' '.join(said)[-300:]}")
    # Also after a complete verdict: the way down is part of the test.
    if words := _last_words(folder / "console.log"):
        if judged.problems or "panic" in words:
            judged.problems.append(f"the kernel said: {words}")
    return judged


def _write_command(path, argv, sockets):
    """A script that boots the same machine again; QEMU options one a line."""
    words = shlex.join(argv).replace(" -", " \\\n\t-")
    path.write_text(f"#!/bin/sh\n# The machine of this run, with an initramfs kept by --keep.\n"
                    f"mkdir -p {sockets}\n{words}\n")
    path.chmod(0o755)


def emulator_fault(console):
    """Did the machine die of its emulator?

    QEMU can run an instruction that another CPU is patching, with the breakpoint that
    stands there for a moment, after the patching kernel has forgotten about it.  Nothing
    but that gives an int3 oops in a kernel where nobody sets breakpoints.  It is rare,
    and is tried again, twice at most.
    """
    return console.exists() and "Oops: int3" in console.read_text(errors="replace")


def _environment(suite):
    """Words that the kernel does not know go into its init's environment, and from there on."""
    return " ".join(f"{name}={os.environ[name]}" for name in suite.environment if os.environ.get(name))


def boot(suite, kernel, kernel_dir, topology, results, keep=False):
    """Boot the suite and return its Outcome."""
    outcome = _boot_once(suite, kernel, kernel_dir, topology, results, keep)
    for _ in range(2):
        if not outcome.verdict.failures() or not emulator_fault(outcome.folder / "console.log"):
            break
        print(f"      {suite.name}: the emulator broke the kernel (a breakpoint that nobody has set); once more", flush=True)
        outcome = _boot_once(suite, kernel, kernel_dir, topology, results, keep)
    return outcome


def latencies(kernel):
    """What topologies say of time: as much more as the kernel needs patience."""
    return {"late_ns": int(LATE_NS * kernel.patience)}


def folder_of(results, kernel, suite):
    """Where a run leaves what it has to say."""
    return results / kernel.name / suite.name


def _boot_once(suite, kernel, kernel_dir, topology, results, keep):
    start = time.monotonic()
    if not suite.root:
        build_guest(suite, kernel.arch)
    if suite.prepare:
        _run(f"preparing {suite.name}", suite.prepare)
    own = build_modules(kernel, kernel_dir, suite)
    folder = folder_of(results, kernel, suite)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    image = folder / "initramfs.cpio"
    system = {}
    if suite.root:
        system = root.disks(folder, suite, kernel_dir, kernel.patience)
        root.initramfs(image, kernel_dir)
    else:
        initramfs.build(image, suite, topology, kernel_dir, own, kernel.patience,
                        guest_folder(kernel.arch), cross_root(kernel.arch))
    timeout = (suite.boot_timeout + sum(t.timeout for t in suite.tests)) * kernel.patience
    # The path of a socket may have 107 bytes: not below the results.
    with tempfile.TemporaryDirectory(prefix="vm-") as sockets:
        sockets = pathlib.Path(sockets)
        # Whoever starts a kernel from within the machine reads it from a disk.
        images = disks.images() | disks.scratch(folder) | {"vmlinuz": vmlinuz(kernel_dir), "initramfs": image} | system
        images |= latencies(kernel)
        argv = machine.command(emulator(kernel.arch), topology, images, boot_image(kernel_dir, kernel.arch), image,
                               f"{kernel.append} {suite.append} {_environment(suite)}".strip(),
                               shlex.split(suite.qemu), folder, sockets, kernel.arch)
        _write_command(folder / "cmdline", argv, sockets)
        vm = machine.Machine(argv, folder, sockets)
        in_time = vm.run(timeout)
    judged = _judge(suite, folder, in_time, vm.process.returncode, timeout)
    if not keep and not judged.failures():
        image.unlink()
        for name in disks.SCRATCH:
            (folder / name).unlink()
    return Outcome(suite.name, kernel_dir.name, time.monotonic() - start, judged, folder)
