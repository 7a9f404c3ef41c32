#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Builds a recorded machine (/sys, /proc, /run) from a compact description.

    cli_tree.py ROOT < description

One thing a line; what is in brackets may be left out:

    driver NAME
    device BDF VENDOR:DEVICE [class=CCSSPP] [driver=NAME] [override=NAME]
           [group=N] [barN=ADDRESS/SIZE[/64][/pref][/io]]
           [msix=BAR+OFFSET*VECTORS] [pba=BAR+OFFSET] [shortconfig]
    disk NAME BDF [dev=MAJ:MIN] [part=NAME] [mount=POINT] [swap] [holder=NAME]
    head NAME BDF...            (an NVMe multipath disk over these controllers)
    net NAME BDF STATE
    process PID NAME TARGET [SYSPATH]   (has TARGET open; SYSPATH in fdinfo)
    mapper PID NAME TARGET      (has TARGET mapped)
    file PATH CONTENT...        ("\\n" in CONTENT is a new line)
"""

import os
import pathlib
import struct
import sys

UNITS = {"K": 10, "M": 20, "G": 30, "T": 40}


def number(text):
    shift = UNITS.get(text[-1], 0)
    return int(text[:-1] if shift else text, 0) << shift


class Tree:
    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.bus = self.root / "sys/bus/pci"
        for folder in ("devices", "drivers"):
            (self.bus / folder).mkdir(parents=True, exist_ok=True)
        for folder in ("sys/block", "sys/class/net", "sys/dev/block", "sys/kernel/iommu_groups",
                       "proc/self", "proc/sys/kernel", "run"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        self.write("sys/bus/pci/drivers_probe", "")
        self.write("proc/sys/kernel/modprobe", "/bin/false\n")
        for name in ("proc/self/mountinfo", "proc/swaps"):
            (self.root / name).touch()

    def write(self, path, content):
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def append(self, path, content):
        with open(self.root / path, "a") as file:
            file.write(content)

    def link(self, path, target):
        """A relative link, as sysfs has them."""
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(os.path.relpath(target, path.parent))

    def driver(self, name):
        for file in ("bind", "unbind"):
            self.write(f"sys/bus/pci/drivers/{name}/{file}", "")

    def device(self, bdf, ids, *words):
        options = dict(w.partition("=")[::2] for w in words)
        home = self.root / "sys/devices/pci0000:00" / bdf
        vendor, device = ids.split(":")
        files = {"vendor": f"0x{vendor}\n", "device": f"0x{device}\n",
                 "class": f"0x{options.get('class', '050000')}\n",
                 "driver_override": options.get("override", "(null)") + "\n",
                 "resource": resource(options)}
        for name, content in files.items():
            self.write(home / name, content)
        config = config_space(options)
        self.write(home / "config", config[:64] if "shortconfig" in options else config)
        self.link(self.bus / "devices" / bdf, home)
        if "driver" in options:
            driver = self.bus / "drivers" / options["driver"]
            if not driver.exists():
                self.driver(options["driver"])
            self.link(home / "driver", driver)
            self.link(driver / bdf, home)
        if "group" in options:
            group = self.root / "sys/kernel/iommu_groups" / options["group"]
            self.link(group / "devices" / bdf, home)
            self.link(home / "iommu_group", group)

    def disk(self, name, bdf, *words):
        options = dict(w.partition("=")[::2] for w in words)
        home = self.root / "sys/devices/pci0000:00" / bdf / "block" / name
        dev = options.get("dev", "259:0")
        self.link(self.root / "sys/block" / name, home)
        self.write(home / "dev", "8:0\n" if "part" in options else dev + "\n")
        if "part" in options:
            name = options["part"]
            home = home / name
            self.write(home / "partition", "1\n")
            self.write(home / "dev", dev + "\n")
        (home / "holders").mkdir()
        if "holder" in options:
            self.write(home / "holders" / options["holder"], "")
        if "mount" in options:
            self.append("proc/self/mountinfo",
                        f"36 35 {dev} / {options['mount']} rw shared:1 - ext4 /dev/{name} rw\n")
        if "swap" in options:
            self.append("proc/swaps", f"/dev/{name} partition 1 0 -2\n")

    def head(self, name, *bdfs):
        subsystem = self.root / "sys/devices/virtual/nvme-subsystem/nvme-subsys0"
        self.write(subsystem / "subsysnqn", "nqn\n")
        for index, bdf in enumerate(bdfs):
            controller = self.root / "sys/devices/pci0000:00" / bdf / f"nvme/nvme{index}"
            controller.mkdir(parents=True)
            self.link(subsystem / f"nvme{index}", controller)
        self.write(subsystem / name / "dev", "259:9\n")
        self.link(subsystem / name / "device", subsystem)
        self.link(self.root / "sys/block" / name, subsystem / name)
        self.append("proc/self/mountinfo", f"36 35 259:9 / /multi rw - xfs /dev/{name} rw\n")

    def net(self, name, bdf, state):
        home = self.root / "sys/devices/pci0000:00" / bdf / "net" / name
        self.write(home / "operstate", state + "\n")
        self.link(self.root / "sys/class/net" / name, home)

    def process(self, pid, name, target, syspath=""):
        self.write(f"proc/{pid}/comm", name + "\n")
        (self.root / f"proc/{pid}/fd").mkdir()
        (self.root / f"proc/{pid}/fd/5").symlink_to(target)
        info = f"pos:\t0\nvfio-device-syspath: {syspath}\n" if syspath else "pos:\t0\n"
        self.write(f"proc/{pid}/fdinfo/5", info)

    def mapper(self, pid, name, target):
        self.write(f"proc/{pid}/comm", name + "\n")
        self.write(f"proc/{pid}/maps", "7f0000000000-7f0000001000 r--p 00000000 08:01 9 /usr/lib/libc.so\n"
                   f"7f0000200000-7f0000400000 rw-s 20000000000 00:0e 5                  {target}\n")

    def file(self, path, *content):
        self.write(path.lstrip("/"), " ".join(content).replace("\\n", "\n"))


def resource(options):
    lines = []
    for index in range(6):
        if f"bar{index}" not in options:
            lines.append((0, 0, 0))
            continue
        address, size, *kinds = options[f"bar{index}"].split("/")
        start = number(address)
        flags = 0x101 if "io" in kinds else 0x40200
        flags |= 0x100000 if "64" in kinds else 0
        flags |= 0x2008 if "pref" in kinds else 0
        lines.append((start, start + number(size) - 1, flags))
    lines.append((0, 0, 0))
    return "".join("0x%016x 0x%016x 0x%016x\n" % line for line in lines)


def config_space(options):
    config = bytearray(256)
    if "msix" not in options:
        return bytes(config)
    bar, _, rest = options["msix"].partition("+")
    offset, _, vectors = rest.partition("*")
    pba_bar, _, pba_offset = options.get("pba", f"{bar}+{number(offset) + 0x800:#x}").partition("+")
    config[6] = 0x10                    # the list of capabilities is there
    config[0x34] = 0x40
    config[0x40:0x44] = b"\x01\x50\0\0"    # power management, then at 0x50:
    struct.pack_into("<BBHII", config, 0x50, 0x11, 0, int(vectors) - 1,
                     number(offset) | int(bar), number(pba_offset) | int(pba_bar))
    return bytes(config)


def main():
    tree = Tree(sys.argv[1])
    for line in sys.stdin:
        words = line.split()
        if words and not words[0].startswith("#"):
            getattr(tree, words[0])(*words[1:])


main()
