# SPDX-License-Identifier: MIT
"""The targets: what is measured, how it is measured, and how good it must be.

All are ratios of two figures of one run, or a share of the window: on another
host, or without emulation, the figures are others, and the ratios need not be.
"""

import dataclasses
import operator
import typing

MIB = 1 << 20
GIB_IN_MIB = 1024
FOUR = 4 * GIB_IN_MIB
SIXTEEN = 16 * GIB_IN_MIB

SENSES = {"<=": operator.le, ">=": operator.ge, "<": operator.lt}


@dataclasses.dataclass(frozen=True)
class Target:
    what: str
    sense: str
    limit: float
    value: typing.Callable      # of the measurements
    digits: int = 3
    unit: str = ""


@dataclasses.dataclass(frozen=True)
class Judged:
    what: str
    measured: str
    target: str
    met: bool


def _cpu(to):
    return lambda m: m.cpu.ratio("cpu_us_per_mib", "p2p", to, target_kind="block", op="read", size=MIB, depth=1)


def _machine(to):
    def busy(m, column):
        return m.life.median("busy_ns", what="machine", size=MIB, column=column)

    return lambda m: busy(m, "p2p") / busy(m, to)


def _speed(size, to):
    return lambda m: m.speed.ratio("gib_s", "p2p", to, target_kind="block", op="read", size=size, depth=1)


def _revoke(m, bar_mib, touched_mib):
    return m.life.median("wall_ns", what="revoke", bar_mib=bar_mib, provider="own", touched_mib=touched_mib)


def _populate(m):
    return (m.life.median("wall_ns", what="touch-4k", bar_mib=FOUR) /
            m.life.median("wall_ns", what="touch", bar_mib=FOUR, provider="own"))


def _populate_call(m):
    where = {"bar_mib": FOUR, "provider": "own"}
    return m.life.median("wall_ns", what="populate", **where) / m.life.median("wall_ns", what="touch", **where)


def _revoke_whole(m):
    return m.life.median("wall_ns", what="revoke-4k", bar_mib=FOUR) / _revoke(m, FOUR, FOUR)


def _revoke_part(m):
    return _revoke(m, SIXTEEN, 64) / _revoke(m, 64, 64)


def _floor(provider):
    return lambda m: m.life.ratio("wall_ns", "memremap_ns", what="register", bar_mib=FOUR, provider=provider)


def _register(m):
    return (m.life.median("wall_ns", what="register", bar_mib=FOUR, provider="own") /
            m.life.median("wall_ns", what="register", bar_mib=FOUR, provider="standard"))


def _memory(m):
    return 100 * m.life.median("host_bytes", what="register", bar_mib=FOUR, provider="own") / (FOUR * MIB)


TARGETS = [
    Target("CPU time of the program for a 1 MiB read, P2P : host RAM (THP)", "<=", 1.02, _cpu("thp")),
    Target("CPU time of the machine for a 1 MiB pread(), P2P : host RAM (THP)", "<=", 1.02, _machine("thp")),
    Target("CPU time of the program for a 1 MiB read, P2P : bounce", "<=", 0.48, _cpu("bounce")),
    Target("CPU time of the machine for a 1 MiB pread(), P2P : bounce", "<=", 0.48, _machine("bounce")),
    Target("throughput at 1 MiB, P2P : host RAM (THP)", ">=", 0.97, _speed(MIB, "thp")),
    Target("throughput at 4 MiB, P2P : host RAM (THP)", ">=", 0.97, _speed(4 * MIB, "thp")),
    Target("throughput at 1 MiB, P2P : bounce", ">=", 1.4, _speed(MIB, "bounce")),
    Target("throughput at 4 MiB, P2P : bounce", ">=", 1.4, _speed(4 * MIB, "bounce")),
    Target("populate 4 GiB by touching, 4 KiB pages : 2 MiB folios", ">=", 300, _populate, digits=0),
    Target("populate 4 GiB, POPULATE : touching", "<", 1, _populate_call),
    Target("revoke 4 GiB, mapped whole and idle, 4 KiB pages : 2 MiB folios", ">=", 280, _revoke_whole, digits=0),
    Target("revoke with 64 MiB touched, window of 16 GiB : of 64 MiB", "<=", 1.1, _revoke_part),
    Target("register 4 GiB, whole call : memremap_pages(), own provider", "<=", 1.1, _floor("own")),
    Target("the same, standard provider", "<=", 1.1, _floor("standard")),
    Target("register 4 GiB, own provider : standard", "<=", 0.33, _register),
    Target("host memory of a window, own provider", "<=", 0.40, _memory, unit=" %"),
]


def judge(target, measurements):
    value = target.value(measurements)
    return Judged(target.what, f"{value:.{target.digits}f}{target.unit}", f"{target.sense} {target.limit:g}{target.unit}",
                  SENSES[target.sense](value, target.limit))
