# SPDX-License-Identifier: MIT
"""The disk images: made once, sparse, by mkfs on a file; no mount, no root."""

import fcntl
import hashlib
import shutil
import subprocess

from config import TOP

# A file system's block size is that of the page cache on purpose: one block is one page.
RECIPES = {
    "raw": ("256M", []),
    "ext4": ("512M", ["mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0"]),
    "xfs": ("512M", ["mkfs.xfs", "-q", "-f", "-b", "size=4096"]),
    "btrfs": ("256M", ["mkfs.btrfs", "-q", "-f", "-m", "single", "-d", "single"]),
    "f2fs": ("128M", ["mkfs.f2fs", "-q", "-f"]),
}


def images():
    """The path of each image; makes what is missing."""
    key = hashlib.sha256(repr(RECIPES).encode()).hexdigest()[:12]
    folder = TOP / "build" / "disks" / key
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.parent / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _make(folder)
    return {name: folder / name for name in RECIPES}


# What is written to these stays, so each machine has its own, full of zeros.
SCRATCH = {"scratch": 64 << 20, "slow": 256 << 20}


def scratch(folder):
    """Disks that no other machine has."""
    for name, size in SCRATCH.items():
        with open(folder / name, "w") as image:
            image.truncate(size)
    return {name: folder / name for name in SCRATCH}


def _make(folder):
    tmp = folder.with_suffix(".tmp")
    shutil.rmtree(tmp, ignore_errors=True)
    tmp.mkdir()
    for name, (size, mkfs) in RECIPES.items():
        with open(tmp / name, "w") as image:
            image.truncate(int(size[:-1]) << 20)
        if mkfs:
            # mkfs lives in sbin, which not every user has in PATH.
            program = shutil.which(mkfs[0]) or f"/usr/sbin/{mkfs[0]}"
            subprocess.run([program, *mkfs[1:], str(tmp / name)], check=True,
                           stdout=subprocess.DEVNULL)
    tmp.rename(folder)
