# SPDX-License-Identifier: MIT
"""The plots of docs/performance.md: SVG, drawn by gnuplot."""

import subprocess

from tables import COLUMNS, SIZES
from targets import FOUR, MIB

HEAD = """\
set terminal svg size 720,420 dynamic enhanced font 'sans-serif,13' background 'white'
set grid ytics lt 1 lc rgb '#dddddd'
set border 3
set tics nomirror
set key outside top center horizontal
"""
COLOURS = ["#0072b2", "#009e73", "#56b4e9", "#d55e00", "#cc79a7"]


class PlotError(Exception):
    """gnuplot has failed; the message is its own."""


def _series(number, title, points):
    data = "\n".join(f"{x} {y}" for x, y in points)
    return (f"$d{number} << END\n{data}\nEND\n",
            f"$d{number} with linespoints lw 2 pt 7 ps 0.6 lc rgb '{COLOURS[number]}' title '{title}'")


def script(title, xlabel, ylabel, axes, series):
    """Lines over a logarithmic x axis; series: (title, [(x, y)])."""
    parts = [_series(i, *one) for i, one in enumerate(series)]
    return (HEAD + f"set title '{title}'\nset xlabel '{xlabel}'\nset ylabel '{ylabel}'\n{axes}" +
            "".join(data for data, _ in parts) + "plot " + ", \\\n  ".join(line for _, line in parts) + "\n")


def _ticks(places):
    first, last = places[0][1], places[-1][1]
    return (f"set logscale x 2\nset xrange [{first / 1.1}:{last * 1.1}]\n"
            "set xtics (" + ", ".join(f"'{name}' {at}" for name, at in places) + ")\n")


def _io(cells, key, title, ylabel):
    where = {"target_kind": "block", "op": "read", "depth": 1}
    sizes = cells.values("size", **where)
    skipped = {s["column"] for s in cells.skipped}
    names = [(f"{n >> 20} MiB" if n >= MIB else f"{n >> 10} KiB", n) for n in sizes]
    series = [(name, [(n, cells.figure(key, column=c, size=n, **where)) for n in sizes])
              for c, name in COLUMNS.items() if c not in skipped]
    return script(title, "size of a read", ylabel, _ticks(names) + "set logscale y\n", series)


def _life(m):
    def line(what, key="wall_ns", **more):
        return [(mib, m.life.median(key, what=what, bar_mib=mib, provider="own",
                                    **({"touched_mib": mib} if what == "revoke" else {}), **more) / 1e6)
                for mib in SIZES]

    def pages(what):
        return [(mib, m.life.median("wall_ns", what=what, bar_mib=mib) / 1e6) for mib in (64, FOUR)]

    names = [("64 MiB", 64), ("1 GiB", 1024), ("4 GiB", FOUR), ("16 GiB", 16 * 1024)]
    return script("The whole window, counted instructions", "window", "ms", _ticks(names) + "set logscale y\n", [
        ("register", line("register")), ("populate", line("populate")), ("revoke", line("revoke")),
        ("populate, 4 KiB", pages("populate-4k")), ("revoke, 4 KiB", pages("revoke-4k"))])


def scripts(m):
    """File name: gnuplot's script."""
    return {
        "performance-cpu.svg": _io(m.cpu, "cpu_us_per_mib", "CPU time of the program for a read, counted", "us per MiB"),
        "performance-speed.svg": _io(m.speed, "gib_s", "Throughput, one read at a time, emulated", "GiB/s"),
        "performance-life.svg": _life(m),
    }


def draw(text, path):
    done = subprocess.run(["gnuplot"], input=text, capture_output=True, text=True)
    if done.returncode or done.stderr:
        raise PlotError(f"gnuplot: {done.stderr.strip()}")
    path.write_text(done.stdout)
