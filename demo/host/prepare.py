# SPDX-License-Identifier: MIT
"""What the demo needs besides kernel and driver: pictures, their disk, the guest's program.

All is below build/demo and made anew only when what it is made from has changed.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]
OUT = TOP / "build" / "demo"
PICTURES = ("first", "second")


def _run(*argv):
    subprocess.run([str(a) for a in argv], cwd=TOP, check=True)


def pictures():
    """The folder with files/first.xrgb, files/second.xrgb and disk.img, which holds both."""
    sources = sorted((TOP / "demo" / "picture").glob("*.[ch]"))
    key = hashlib.sha256(b"".join(s.read_bytes() for s in sources)).hexdigest()[:12]
    folder = OUT / f"pictures-{key}"
    if folder.exists():
        return folder
    for old in OUT.glob("pictures-*"):
        shutil.rmtree(old)
    tmp = OUT / "pictures.tmp"
    shutil.rmtree(tmp, ignore_errors=True)
    _paint(tmp, [s for s in sources if s.suffix == ".c"])
    _make_disk(tmp)
    tmp.rename(folder)
    return folder


def _paint(folder, sources):
    (folder / "files").mkdir(parents=True)
    _run("gcc", "-O3", "-ffast-math", "-Wall", "-Wextra", "-o", folder / "picture", *sources, "-lm")
    for name in PICTURES:
        _run(folder / "picture", name, folder / "files" / f"{name}.xrgb")


def _make_disk(folder):
    """An ext4 file system with the pictures in it; no mount, no root."""
    mkfs = shutil.which("mkfs.ext4") or "/usr/sbin/mkfs.ext4"    # not every user has sbin in PATH
    with open(folder / "disk.img", "w") as image:
        image.truncate(64 << 20)
    _run(mkfs, "-q", "-F", "-b", "4096", "-m", "0", "-d", folder / "files", folder / "disk.img")


def guest():
    """The static program that runs in the machine; its path from the top."""
    _run("make", "-s", f"-j{os.cpu_count()}", "-C", "demo/guest")
    return "build/demo/guest/demo"
