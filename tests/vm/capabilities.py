#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which PCI capabilities the emulator's devices have: what can be tested here, and what cannot.

Wants a machine that has no QEMU installed: its devices that are modules would be tried, and end
tools/emulator's.  Starts a machine with each PCI device that the emulator knows, with its CPU
stopped, and reads the device's config space.  Last lines: which of them have the
capability for a function level reset of conventional devices (AF), which can be
in D1 or D2, which contain errors downstream (DPC), and which can change the size
of a BAR.
"""

import re
import subprocess
import sys

import boot

SLOT = 0x10
CAP_PM, CAP_AF = 0x01, 0x13
EXT_RESIZABLE_BAR, EXT_DPC = 0x15, 0x1d
ECAM, PCIEXBAR = 0xb0000000, 0x60      # where the host bridge is told to show config space
# What some cannot be started without.
BACKENDS = ["-object", "memory-backend-memfd,id=m,size=16M,share=on"]
NEEDS = {"ivshmem-plain": ",memdev=m", "virtio-pmem-pci": ",memdev=m", "virtio-mem-pci": ",memdev=m",
         "vhost-vsock-pci": ",guest-cid=3", "nvme": ",serial=x"}


def devices():
    out = subprocess.run([*boot.emulator(), "-machine", "q35", "-device", "help"], stdout=subprocess.PIPE, text=True, check=True)
    return re.findall(r'^name "([^"]+)", bus PCI', out.stdout, re.M)


def config_space(device):
    """4096 bytes, or None if the device does not start."""
    argv = [*boot.emulator(), "-machine", "q35", "-accel", "tcg", "-S", "-nodefaults", "-display", "none", "-qtest", "stdio",
            "-qtest-log", "none", *BACKENDS, "-device", f"{device},addr={SLOT:x}.0{NEEDS.get(device, '')}"]
    ask = f"outl 0xcf8 {0x80000000 | PCIEXBAR:#x}\noutl 0xcfc {ECAM | 1:#x}\n" + \
        "".join(f"readl {ECAM + (SLOT << 15) + at:#x}\n" for at in range(0, 4096, 4))
    words = []
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as qemu:
        try:
            qemu.stdin.write(ask)
            qemu.stdin.flush()
            while len(words) < 1024 and (line := qemu.stdout.readline()):
                words += [int(w, 16) for w in re.findall(r"^OK (0x[0-9a-f]+)$", line.strip())]
        except BrokenPipeError:
            pass    # it has said no, and ended
        qemu.kill()
    if len(words) != 1024 or words[0] & 0xffff in (0, 0xffff):
        return None
    return b"".join(w.to_bytes(4, "little") for w in words)


def capabilities(config):
    """{id: position}"""
    found, at = {}, config[0x34] if config[6] & 0x10 else 0
    while at and at not in found.values():
        found[config[at]] = at
        at = config[at + 1]
    return found


def extended(config):
    """The ids of the extended capabilities."""
    found, at = {}, 0x100
    while at >= 0x100 and at not in found.values():
        head = int.from_bytes(config[at:at + 4], "little")
        if head in (0, 0xffffffff):
            break
        found[head & 0xffff] = at
        at = head >> 20
    return set(found)


def power_states(config, found):
    bits = config[found[CAP_PM] + 3] if CAP_PM in found else 0
    return [state for state, bit in (("D1", 2), ("D2", 4)) if bits & bit]


def main():
    have = {"AF": [], "D1 or D2": [], "DPC": [], "resizable BAR": []}
    seen, names = 0, devices()
    for name in names:
        config = config_space(name)
        if config is None:
            print(f"{name:40} not started")
            continue
        seen += 1
        found, more = capabilities(config), extended(config)
        states = power_states(config, found)
        print(f"{name:40} {' '.join(f'{c:02x}' for c in sorted(found))} {' '.join(f'{c:04x}' for c in sorted(more))} "
              f"{' '.join(states)}".rstrip())
        for what, has in (("AF", CAP_AF in found), ("D1 or D2", states), ("DPC", EXT_DPC in more),
                          ("resizable BAR", EXT_RESIZABLE_BAR in more)):
            have[what] += [name] if has else []
    print(f"\n{len(names)} devices, {seen} of them looked at")
    for what, who in have.items():
        print(f"{what}: {', '.join(who) or 'none'}")
    return 0 if seen else 1


if __name__ == "__main__":
    sys.exit(main())
