# SPDX-License-Identifier: MIT
"""A suite with `root = true`: a whole Debian system, which packages are tried in.

Its disk is made once (tools/machine-root); what the machine writes to it is gone with
the machine.  An initramfs of a few lines mounts it and a second disk with the packages
and the plan, and starts systemd.  tests/packages/plan then plays the part of init.
"""

import pathlib
import shutil
import subprocess

from config import TOP
from initramfs import Archive, Modules, unpacked

HERE = TOP / "tests" / "packages"
# What the kernel needs to reach its root; udev loads the rest, as on any machine.
MODULES = ("virtio_pci", "virtio_blk", "ext4")
# What the second build calls itself: its module is another one to DKMS.
NEXT = "0.1.1~next-1"


def _tool(*argv):
    return subprocess.run([str(a) for a in argv], cwd=TOP, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def _packages(folder, built):
    """Those that a user installs."""
    folder.mkdir()
    for deb in pathlib.Path(built).glob("*.deb"):
        if "-dbgsym_" not in deb.name:
            shutil.copy(deb, folder)


def _plan(suite, patience):
    return "".join("\t".join([t.title(), str(round(t.timeout * patience)), *t.run]) + "\n" for t in suite.tests)


def disks(folder, suite, kernel_dir, patience):
    """The images by name: the system, and what is tried in it."""
    tree = folder / "packages"
    shutil.copytree(HERE, tree)
    _packages(tree / "now", _tool("tools/package"))
    _packages(tree / "next", _tool("tools/package", "--version", NEXT))
    (tree / "tests").write_text(_plan(suite, patience))
    image = folder / "packages.ext4"
    with open(image, "w") as file:
        file.truncate(64 << 20)
    program = shutil.which("mke2fs") or "/usr/sbin/mke2fs"
    subprocess.run([program, "-q", "-t", "ext4", "-d", str(tree), str(image)], check=True)
    shutil.rmtree(tree)
    return {"system": _tool("tools/machine-root", kernel_dir.name), "packages": image}


def initramfs(path, kernel_dir):
    archive = Archive()
    for name in ("proc", "sys", "dev", "root"):
        archive.folder(name)
    archive.device("dev/console", 5, 1)
    archive.file("bin/busybox", pathlib.Path("/bin/busybox").read_bytes(), 0o755)
    archive.file("init", (HERE / "init").read_bytes(), 0o755)
    modules = Modules(kernel_dir, [])
    files = dict.fromkeys(f for name in MODULES for f in modules.files(name))
    for module in files:
        archive.file(f"modules/{module.name.split('.')[0]}.ko", unpacked(module))
    order = "".join(f"/modules/{m.name.split('.')[0]}.ko\n" for m in files)
    archive.file("modules/order", order.encode())
    archive.write(path)
