# SPDX-License-Identifier: MIT
"""The machine's root: init, the programs of a suite, the modules it needs, its plan."""

import functools
import lzma
import pathlib
import re
import stat
import subprocess

from config import TOP


class InitramfsError(Exception):
    pass


class Archive:
    """A cpio archive in the format the kernel unpacks (newc)."""

    def __init__(self):
        self.parts = []
        self.names = set()

    def _add(self, name, mode, data=b"", rdev=(0, 0)):
        for parent in reversed(pathlib.PurePath(name).parents):
            if str(parent) not in (".", *self.names):
                self._add(str(parent), stat.S_IFDIR | 0o755)
        self.names.add(name)
        encoded = name.encode() + b"\0"
        fields = (len(self.names), mode, 0, 0, 1, 0, len(data), 0, 0, *rdev, len(encoded), 0)
        header = b"070701" + b"".join(b"%08X" % f for f in fields)
        for part in (header + encoded, data):
            self.parts += [part, b"\0" * (-len(part) % 4)]

    def folder(self, name):
        self._add(name, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode=0o644):
        name = name.lstrip("/")
        if name not in self.names:
            self._add(name, stat.S_IFREG | mode, data)

    def device(self, name, major, minor):
        self._add(name, stat.S_IFCHR | 0o600, rdev=(major, minor))

    def write(self, path):
        self._add("TRAILER!!!", 0)
        path.write_bytes(b"".join(self.parts))


class Modules:
    """A kernel's modules and ours: files by name, dependencies first."""

    def __init__(self, kernel_dir, own_dirs):
        self.base = next(pathlib.Path(kernel_dir, "usr/lib/modules").iterdir())
        self.own = {_plain(ko.stem): ko for folder in own_dirs for ko in pathlib.Path(folder).glob("*.ko")}
        self.depends = _read_dep(str(self.base / "modules.dep"))
        self.stock = {_plain(path.split("/")[-1].split(".")[0]): path for path in self.depends}
        self.builtin = {_plain(pathlib.Path(line).stem)
                        for line in (self.base / "modules.builtin").read_text().split()}

    def files(self, name):
        """All files to load for a module, itself last."""
        name = _plain(name)
        if name in self.own:
            wanted = re.search(rb"\0depends=([^\0]*)\0", self.own[name].read_bytes())
            needed = [d for d in (wanted.group(1).decode() if wanted else "").split(",") if d]
            before = [f for d in needed for f in self.files(d)]
            return list(dict.fromkeys([*before, self.own[name]]))
        if name in self.stock:
            path = self.stock[name]
            # modules.dep lists what must be loaded first last.
            return [self.base / p for p in [*reversed(self.depends[path]), path]]
        if name in self.builtin:
            return []
        raise InitramfsError(f"there is no kernel module '{name}': not in {self.base}, "
                             f"and our own are {sorted(self.own) or 'not built'}")


def _plain(name):
    return name.replace("-", "_")


@functools.cache
def _read_dep(path):
    lines = (line.split(":", 1) for line in pathlib.Path(path).read_text().splitlines())
    return {name: needed.split() for name, needed in lines}


@functools.lru_cache(maxsize=64)
def unpacked(path):
    """The module as it is loaded: cheaper here than in an emulated machine."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dcq", str(path)], check=True, capture_output=True).stdout
    return data


def _add_modules(archive, modules, suite):
    index = []
    for name in dict.fromkeys(m.split()[0] for m in [*suite.modules, *suite.available]):
        paths = []
        for path in modules.files(name):
            inside = f"lib/modules/{path.name.split('.')[0]}.ko"
            # Our own modules change under the same name: never from the cache.
            data = path.read_bytes() if path.suffix == ".ko" else unpacked(path)
            archive.file(inside, data)
            paths.append("/" + inside)
        index.append(" ".join([name, *paths]))
    archive.file("etc/modules.index", ("\n".join(index) + "\n").encode())
    archive.file("etc/modules", "".join(f"{m}\n" for m in suite.modules).encode())


def _libraries(path):
    """The shared libraries of a program, its interpreter among them."""
    out = subprocess.run(["ldd", str(path)], capture_output=True, text=True)
    return re.findall(r"(/[^\s]+) \(0x", out.stdout)


def _add_files(archive, suite):
    for inside, outside in suite.files.items():
        path = TOP / outside
        if path.is_dir():
            for file in sorted(path.iterdir()):
                archive.file(f"{inside}/{file.name}", file.read_bytes())
            continue
        if not path.is_file():
            raise InitramfsError(f"suite {suite.name}: the file {outside} is missing; is it built?")
        archive.file(inside, path.read_bytes(), 0o755)
        for library in _libraries(path):
            archive.file(library, pathlib.Path(library).read_bytes(), 0o755)


def _add_programs(archive, suite, guest, root):
    archive.file("init", (guest / "init").read_bytes(), 0o755)
    for program in {t.run[0] for t in suite.tests}:
        if program.startswith("/"):
            continue
        path = guest / program
        if not path.is_file():
            raise InitramfsError(f"suite {suite.name}: there is no program {program}; "
                                 f"its source would be tests/guest/{program}.c")
        archive.file(f"bin/{program}", path.read_bytes(), 0o755)
    busybox = (root or pathlib.Path("/")) / "bin" / "busybox"
    if busybox.exists():
        archive.file("bin/busybox", busybox.read_bytes(), 0o755)


def _plan_line(test, patience):
    program, *args = test.run
    program = program if program.startswith("/") else f"/bin/{program}"
    return "\t".join([test.title(), str(round(test.timeout * patience)), program, *args]) + "\n"


def build(path, suite, topology, kernel_dir, own_dirs, patience=1, guest=TOP / "build" / "guest", root=None):
    """The initramfs at path; guest: the folder of the programs, root: of another architecture's busybox."""
    archive = Archive()
    for folder in ("proc", "sys", "dev", "tmp", "run", "mnt"):
        archive.folder(folder)
    archive.device("dev/console", 5, 1)
    _add_programs(archive, suite, guest, root)
    _add_files(archive, suite)
    _add_modules(archive, Modules(kernel_dir, own_dirs), suite)
    archive.file("etc/plan", "".join(_plan_line(t, patience) for t in suite.tests).encode())
    archive.file("etc/roles", "".join(f"{k}={v}\n" for k, v in topology.roles.items()).encode())
    archive.write(path)
