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
    "slow": ("256M", []),
    "ext4": ("512M", ["mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0"]),
    "xfs": ("512M", ["mkfs.xfs", "-q", "-f", "-b", "size=4096"]),
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


def scratch(folder):
    """A disk that no other machine has: what is written to it may stay."""
    path = folder / "scratch"
    with open(path, "w") as image:
        image.truncate(64 << 20)
    return {"scratch": path}


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
