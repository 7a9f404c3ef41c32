# SPDX-License-Identifier: MIT
"""The tables of docs/performance.md, in Markdown."""

import collections
import statistics

import targets
from samples import Missing
from targets import FOUR, MIB, SIXTEEN

SIZES = [64, 1024, FOUR, SIXTEEN]       # of BARs, in MiB
PROFILES = 4                            # rounds
READ_SIZES = [4 << 10, 64 << 10, MIB, 4 * MIB, 16 * MIB]
PROVIDERS = ["own", "standard"]
COLUMNS = {"p2p": "P2P", "thp": "host RAM, THP", "ram4k": "host RAM, 4 KiB", "bounce": "bounce", "p2p4k": "P2P, 4 KiB"}
NS_PER_INSTRUCTION = 2


def table(head, rows):
    """Text in the first column, figures in the others."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _three_digits(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def time(ns):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= size:
            return f"{_three_digits(ns / size)} {unit}"
    return f"{ns:.0f} ns"


def size(mib):
    return f"{mib // 1024} GiB" if mib >= 1024 else f"{mib} MiB"


def bytes_of(n):
    for unit, one in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if n >= one:
            return f"{_three_digits(n / one)} {unit}"
    return f"{n:.0f} B"


def conditions(m):
    speed, cpu = m.speed.conditions, m.cpu.conditions
    return "\n".join([
        f"- kernel {m.about['kernel']}, unmodified; driver {m.about['version']}, built for it",
        f"- {m.about['qemu']}, emulating (TCG, no KVM) a q35 machine, `-cpu EPYC`, 2 GiB of RAM, intel-iommu",
        f"- counted: `-icount shift=1,sleep=off`, {cpu['cpus']} CPU; an instruction is {NS_PER_INSTRUCTION} ns. For the "
        "program's share of I/O `sleep=on`: while the CPU waits for the disk the time is the host's",
        f"- the machine's CPU time is without the {m.life.median('percent', what='background'):.1f} % that the timer's tick takes "
        "all the time",
        f"- threaded: {speed['cpus']} CPUs, a host thread each, host time; {m.about['host_cpus']} host CPUs",
        "- disk: QEMU's NVMe on a file that the host has in its page cache; target: ivshmem-plain, BAR 2, for I/O of the same "
        "kind of host memory as the machine's RAM",
    ])


def judged(m):
    rows = [targets.judge(t, m) for t in targets.TARGETS]
    return table(["what", "measured", "target", "met"],
                 [[r.what, r.measured, r.target, "yes" if r.met else "**no**"] for r in rows])


def _life_rows(m, entries):
    """A row for each of (name, samples' what, figure, more), a column for each size."""
    return [[name, *(time(m.life.median(key, what=what, bar_mib=mib, **more)) for mib in SIZES)]
            for name, what, key, more in entries]


def registering(m):
    rows = []
    for p in PROVIDERS:
        where = {"provider": p}
        rows += _life_rows(m, [
            (f"{p}: register", "register", "wall_ns", where),
            ("- of it memremap_pages()", "register", "memremap_ns", where),
            ("-- of it memmap_init_zone_device()", "register", "pages_ns", where),
            ("-- of it arch_add_memory()", "register", "memory_ns", where),
            *([("unregister, CPU", "unregister", "cpu_ns", where)] if p == "own" else []),
            ("unbind with the window, CPU", "unbind", "cpu_ns", where),
        ])
        rows.append(["host memory", *(bytes_of(m.life.median("host_bytes", what="register", bar_mib=mib, **where))
                                       for mib in SIZES)])
    return table(["window", *map(size, SIZES)], rows)


def mapping(m):
    own = {"provider": "own"}
    return table(["window", *map(size, SIZES)], _life_rows(m, [
        ("mmap()", "map", "wall_ns", own),
        ("touch a byte of each 2 MiB", "touch", "wall_ns", own),
        ("POPULATE", "populate", "wall_ns", own),
        ("POPULATE again", "populate-again", "wall_ns", own),
        ("munmap(), all mapped", "unmap", "wall_ns", own),
    ]))


def small(m):
    names = [("touch each page or folio", "touch-4k", "touch"), ("POPULATE", "populate-4k", "populate"),
             ("munmap()", "unmap-4k", "unmap"), ("revoke", "revoke-4k", "revoke")]
    rows = []
    for name, of_pages, of_folios in names:
        for mib in (64, FOUR):
            more = {"touched_mib": mib} if of_folios == "revoke" else {}
            pages = m.life.median("wall_ns", what=of_pages, bar_mib=mib)
            folios = m.life.median("wall_ns", what=of_folios, bar_mib=mib, provider="own", **more)
            rows.append([f"{name}, {size(mib)}", time(pages), time(folios), f"{pages / folios:.0f}"])
    return table(["all of the window", "4 KiB pages", "2 MiB folios", "ratio"], rows)


def _revoke_row(m, name, mib, what, touched):
    where = {"what": what, "bar_mib": mib, "provider": "own", "touched_mib": touched}
    return [name, size(mib), *(time(m.life.median(key, **where)) for key in ("wall_ns", "zap_ns", "drain_ns"))]


def revoking(m):
    rows = [_revoke_row(m, "nothing", mib, "revoke", 0) for mib in SIZES]
    rows += [_revoke_row(m, "64 MiB, in one piece", mib, "revoke", 64) for mib in SIZES]
    rows += [_revoke_row(m, "32 folios, far apart", mib, "revoke-scattered", 64) for mib in SIZES[1:]]
    rows += [_revoke_row(m, "all", mib, "revoke", mib) for mib in SIZES[1:]]
    return table(["touched", "window", "whole", "gate and zap", "drain"], rows)


def under_load(m):
    def row(name, key, **where):
        return [name, *map(time, m.life.spread(key, **where))]

    return table(["own and standard: the provider", "least", "median", "most"], [
        *(row(f"revocation's end after that of the last I/O, {p}", "beyond_ns", what="revoke-loaded", provider=p)
          for p in PROVIDERS),
        row("first byte after the gate begins to open", "first_byte_ns", what="resume"),
    ])


def presence(m):
    def read(column):
        least, median, most = m.life.spread("cpu_ns", what="read", column=column)
        count = m.life.all(what="read", column=column)[0]["reads"]
        return [f"1 MiB read into {column}", f"{median / count / 1e3:.2f} us ({least / count / 1e3:.2f} to "
                                             f"{most / count / 1e3:.2f})"]

    def calls(when):
        entry = m.life.all(what="calls", when=when)[0]
        return [f"calls of the driver's functions during {entry['reads']} {when}", str(entry["calls"])]

    def requests(column):
        entry = m.life.all(what="requests", column=column)[0]
        return [f"NVMe commands for a 1 MiB read, {column}", f"{entry['requests'] / entry['reads']:g}"]

    def interrupts(column):
        per = statistics.median(e["interrupts"] / e["reads"] for e in m.life.all(what="machine", size=MIB, column=column))
        return [f"interrupts during a 1 MiB read, all in all, {column}", f"{per:.2f}"]

    return table(["what", "figure"], [
        *(["struct pages per GiB, " + p, bytes_of(m.life.median("memmap_bytes", what="register", bar_mib=1024, provider=p))]
          for p in PROVIDERS),
        *(["host memory per GiB, all in all, " + p,
           bytes_of(m.life.median("host_bytes", what="register", bar_mib=SIXTEEN, provider=p) / 16)] for p in PROVIDERS),
        ["module's code and data in memory", bytes_of(m.life.median("core_bytes", what="load"))],
        ["bind, CPU", time(m.life.median("cpu_ns", what="bind", driver="p2p-vfio-pci"))],
        ["bind to vfio-pci, CPU", time(m.life.median("cpu_ns", what="bind", driver="vfio-pci"))],
        read("thp without the module"), read("thp with a window registered"), read("thp with a window mapped"), read("p2p"),
        requests("p2p"), requests("thp"), interrupts("p2p"), interrupts("thp"),
        calls("reads into a populated window"), calls("reads into a window not yet touched"),
    ])


def _profile(m, name):
    """Samples of each function of the kernel, and of all of it."""
    entries = m.life.all(what="profile", name=name)
    counts = collections.Counter()
    for e in entries:
        counts[e["function"]] += e["percent"] * e["samples"] / 100
    return counts, entries[0]["samples"] - counts.pop("(user mode)")


def profile(m):
    """Of the kernel alone; 100 is all of it during as many reads into huge pages.  What differs, differs in each round."""
    p2p, thp = ([_profile(m, f"{column} {i}") for i in range(PROFILES)] for column in ("p2p", "thp"))
    whole = statistics.mean(total for _, total in thp)

    def of(rounds, function):
        return [100 * counts[function] / whole for counts, _ in rounds]

    def differs(function):
        return min(of(p2p, function)) > max(of(thp, function)) or max(of(p2p, function)) < min(of(thp, function))

    def means(function):
        return [statistics.mean(of(rounds, function)) for rounds in (p2p, thp)]

    names = filter(differs, {f for counts, _ in p2p + thp for f in counts})
    top = sorted(names, key=lambda f: (-abs(means(f)[0] - means(f)[1]), f))[:16]
    rows = [[f"`{f}`", *(f"{share:.2f}" if share else "less" for share in means(f))] for f in top]
    return table(["function", "P2P", "host RAM, THP"],
                 [*rows, ["all of the kernel", f"{100 * statistics.mean(total for _, total in p2p) / whole:.1f}", "100"]])


def _io_size(n):
    return f"{n >> 20} MiB" if n >= MIB else f"{n >> 10} KiB"


def _figure(cells, key, digits, column, where):
    """
    Median (least to most).  What the command has skipped, with a reason, is said to
    be so; a hole is an error.
    """
    if any(s["column"] == column for s in cells.skipped) and not cells.values("column", column=column, **where):
        return "not measured"
    all_of = cells.cell(column=column, **where)[key]
    return "{median:.{0}f} ({min:.{0}f} to {max:.{0}f})".format(digits, **all_of)


def io(cells, key, digits, depth):
    """A row for each kind of target and size, a figure for each column."""
    rows = []
    for kind in cells.values("target_kind"):
        for n in cells.values("size", target_kind=kind, op="read", depth=depth):
            where = {"target_kind": kind, "op": "read", "size": n, "depth": depth}
            rows.append([f"{kind}, {_io_size(n)}", *(_figure(cells, key, digits, c, where) for c in COLUMNS)])
    if not rows:
        raise Missing(f"no cells of depth {depth}")
    return table(["read", *COLUMNS.values()], rows)


def machine(m):
    """A row for each size, a figure for each column: us per MiB, median (least to most)."""
    def figure(n, column):
        per = [e["busy_ns"] / (e["size"] * e["reads"] / MIB) / 1e3
               for e in m.life.all(what="machine", size=n, column=column)]
        return f"{statistics.median(per):.0f} ({min(per):.0f} to {max(per):.0f})"

    return table(["read", *COLUMNS.values()],
                 [[_io_size(n), *(figure(n, c) for c in COLUMNS)] for n in READ_SIZES])


def cpu_of_program(m):
    return io(m.cpu, "cpu_us_per_mib", 0, 1)


def speed(m):
    return io(m.speed, "gib_s", 3, 1)


def _slope(m, key, what, provider):
    """For each GiB beyond the first four."""
    at = [m.life.median(key, what=what, bar_mib=mib, provider=provider) for mib in (FOUR, SIXTEEN)]
    return (at[1] - at[0]) / 12


def _revoke_slope(m):
    at = [m.life.median("wall_ns", what="revoke", bar_mib=mib, provider="own", touched_mib=mib) for mib in (FOUR, SIXTEEN)]
    return (at[1] - at[0]) / 12


def scale(m):
    """From the measured slopes."""
    rows = []
    for name, gib in (("1 GiB more", 1), ("a BAR of 128 GiB", 128), ("16 devices of 128 GiB", 2048)):
        cost = [bytes_of(gib * _slope(m, "host_bytes", "register", p)) for p in PROVIDERS]
        ns = [*(_slope(m, "wall_ns", "register", p) for p in PROVIDERS),
              _slope(m, "wall_ns", "populate", "own"), _revoke_slope(m)]
        rows.append([name, *cost, *(f"{gib * n / NS_PER_INSTRUCTION / 1e6:.1f} M" for n in ns)])
    return table(["registered, mapped", "memory, own", "memory, standard", "register, own", "register, standard",
                  "POPULATE", "revoke, all mapped"], rows)


PARTS = {
    "conditions": conditions, "targets": judged, "registering": registering, "mapping": mapping, "small": small,
    "revoking": revoking, "load": under_load, "presence": presence, "profile": profile,
    "machine": machine, "cpu-of-program": cpu_of_program, "speed": speed, "scale": scale,
}
