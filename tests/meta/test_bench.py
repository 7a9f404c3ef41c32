# SPDX-License-Identifier: MIT
"""The page that `make bench` writes: from figures that are made up, without booting.

A target that is missed must be shown as missed; a figure that is missing must be an
error, whichever it is; and what is written by hand must stay.
"""

import copy
import itertools
import json
import pathlib
import shutil
import sys
import types
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "vm"), str(HERE.parent / "bench")]

import config    # noqa: E402
import page      # noqa: E402
import plots     # noqa: E402
import samples   # noqa: E402
import tables    # noqa: E402
import targets   # noqa: E402
import verdict   # noqa: E402

MS = 1000000
COSTS = {"p2p": 100, "thp": 100, "ram4k": 200, "bounce": 250, "p2p4k": 300}     # us for a MiB
PROVIDERS = {"own": 10, "standard": 40}     # ms to register a GiB


def times(wall):
    return {"wall_ns": wall, "cpu_ns": wall}


def made_up_life():
    """bench_life's samples of a driver that meets all targets."""
    for mib, (provider, ms) in itertools.product(tables.SIZES, PROVIDERS.items()):
        of = {"bar_mib": mib, "provider": provider}
        whole = mib * ms * MS // 1024
        yield {"what": "register", **of, **times(whole), "memremap_ns": whole * 20 // 21, "pages_ns": whole // 2,
               "memory_ns": whole // 4, "memmap_bytes": mib * ms * 400, "host_bytes": mib * ms * 400}
        for what, ns in (("unbind", 8), ("map", 1), ("touch", 3), ("populate", 2), ("populate-again", 1), ("unmap", 1)):
            yield {"what": what, **of, **times(mib * ns * 1000)}
        for what, touched in (("revoke", 0), ("revoke", 64), ("revoke", mib), ("revoke-scattered", 64)):
            yield {"what": what, **of, "touched_mib": touched, **times(40000 + touched * 1000), "zap_ns": 3000, "drain_ns": 2000}
        yield {"what": "unregister", **of, **times(mib * 1000)}
        yield {"what": "revoke-loaded", **of, "drain_ns": 90000, "beyond_ns": 30000}
        yield {"what": "resume", **of, "first_byte_ns": 50000, "reset_ns": 7 * MS}
    for mib in (64, 4096):
        for what, ns in (("touch", 3), ("populate", 2), ("unmap", 1), ("revoke", 1)):
            yield {"what": f"{what}-4k", "bar_mib": mib, "provider": "standard", "touched_mib": mib, **times(mib * ns * 400000)}
    for column in ("thp without the module", "thp with a window registered", "thp with a window mapped", "p2p"):
        yield {"what": "read", "column": column, "bytes": 1 << 20, "reads": 64, **times(64 * 80000)}
    yield {"what": "background", "percent": 0.8}
    for size, (column, us) in itertools.product(tables.READ_SIZES, COSTS.items()):
        yield {"what": "machine", "column": column, "size": size, "reads": 16, "interrupts": 40, **times(90 * MS),
               "busy_ns": us * 1000 * 16 * size / (1 << 20)}
    for column in ("thp", "p2p"):
        yield {"what": "requests", "column": column, "reads": 64, "requests": 512}
        for i, (function, share) in itertools.product(range(tables.PROFILES), (
                ("(user mode)", 20), (f"map_{column}", 10), ("same", 30 + (column == "p2p")), ("noise", 5))):
            yield {"what": "profile", "name": f"{column} {i}", "function": function, "samples": 1000,
                   "percent": share + (i if function == "noise" else 0)}
    for when, calls in (("reads into a populated window", 0), ("reads into a window not yet touched", 4)):
        yield {"what": "calls", "when": when, "reads": 64, "calls": calls}
    for driver in ("p2p-vfio-pci", "vfio-pci"):
        yield {"what": "bind", "driver": driver, **times(700000)}
    yield {"what": "load", "core_bytes": 114688, **times(250 * MS)}


def spread(value):
    return {"median": value, "min": value, "max": value}


def made_up_report():
    """The command's JSON."""
    cells = [{"target": f"/x/{kind}", "target_kind": kind, "op": "read", "size": size, "depth": 1, "column": column,
              "gib_s": spread(200 / us), "iops": spread(1000), "lat_us": {"p50": us, "p99": us},
              "cpu_us_per_mib": spread(us), "busy_us_per_mib": spread(us * 2),
              "interrupts_per_mib": spread(8), "bytes": size, "path": "p2p"}
             for kind, size, (column, us) in itertools.product(("block", "file"), (4096, 1 << 20, 4 << 20), COSTS.items())]
    return {"ok": True, "schema": 1, "conditions": {"cpus": 1}, "cells": cells, "skipped": [], "notes": [], "verdicts": []}


def measurements(life=None, report=None):
    report = report or made_up_report()
    return types.SimpleNamespace(
        about={"kernel": "7.3.4", "qemu": "QEMU 7.2", "host_cpus": 2, "version": "0.1.0"},
        life=samples.Life(list(life or made_up_life())), cpu=samples.Cells(report), speed=samples.Cells(report))


def everything(m):
    """All that is made of measurements, drawn or not."""
    return [make(m) for make in tables.PARTS.values()], plots.scripts(m)


def said(*lines):
    return verdict.Verdict(results=[verdict.Result("bench", True, said=list(lines))])


class Targets(unittest.TestCase):
    def rows(self, m):
        return {t.what: targets.judge(t, m) for t in targets.TARGETS}

    def test_table(self):
        lines = tables.judged(measurements()).splitlines()
        self.assertEqual(lines[:3], [
            "| what | measured | target | met |", "| --- | ---: | ---: | ---: |",
            "| CPU time of the program for a 1 MiB read, P2P : host RAM (THP) | 1.000 | <= 1.02 | yes |"])
        self.assertIn("| register 4 GiB, whole call : memremap_pages(), own provider | 1.050 | <= 1.1 | yes |", lines)
        self.assertIn("| host memory of a window, own provider | 0.381 % | <= 0.4 % | yes |", lines)
        self.assertEqual(len(lines), 2 + len(targets.TARGETS))

    def test_good_figures_meet_all(self):
        self.assertEqual([], [what for what, row in self.rows(measurements()).items() if not row.met])

    def test_a_missed_target_is_shown_as_missed(self):
        report = made_up_report()
        for cell in report["cells"]:
            if cell["column"] == "p2p":
                cell["cpu_us_per_mib"] = spread(103)
        m = measurements(report=report)
        missed = [what for what, row in self.rows(m).items() if not row.met]
        self.assertEqual(missed, ["CPU time of the program for a 1 MiB read, P2P : host RAM (THP)"])
        self.assertIn(f"| {missed[0]} | 1.030 | <= 1.02 | **no** |", tables.judged(m))

    def test_rounding_makes_none_met(self):
        """1.0204 is shown as 1.020, and is more than 1.02."""
        report = made_up_report()
        for cell in report["cells"]:
            if cell["column"] == "p2p":
                cell["cpu_us_per_mib"] = spread(102.04)
        self.assertFalse(targets.judge(targets.TARGETS[0], measurements(report=report)).met)

    def test_every_sense_can_be_missed(self):
        for target in targets.TARGETS:
            bad = {"<=": 2.0, "<": 2.0, ">=": 0.5}[target.sense] * target.limit
            with self.subTest(target.what):
                self.assertFalse(targets.judge(targets.Target(target.what, target.sense, target.limit, lambda m: bad), None).met)


class Tables(unittest.TestCase):
    def test_machine(self):
        lines = tables.machine(measurements()).splitlines()
        self.assertEqual(len(lines), 2 + len(tables.READ_SIZES))
        self.assertIn("| 1 MiB | 100 (100 to 100) | 100 (100 to 100) | 200 (200 to 200) | 250 (250 to 250) | "
                      "300 (300 to 300) |", lines)
        self.assertIn("| 64 KiB | 100 (100 to 100) | 100 (100 to 100) | 200 (200 to 200) | 250 (250 to 250) | "
                      "300 (300 to 300) |", lines)

    def test_interrupts_are_of_a_read(self):
        self.assertIn("| interrupts during a 1 MiB read, all in all, p2p | 2.50 |", tables.presence(measurements()).splitlines())

    def test_profile(self):
        """In shares of the kernel's 800 samples of 1000; what differs from round to round alone is left out."""
        self.assertEqual(tables.profile(measurements()).splitlines()[2:], [
            "| `map_p2p` | 12.50 | less |", "| `map_thp` | less | 12.50 |", "| `same` | 38.75 | 37.50 |",
            "| all of the kernel | 100.0 | 100 |"])


class MissingFigures(unittest.TestCase):
    def test_nothing_is_missing(self):
        parts, scripts = everything(measurements())
        self.assertTrue(all(parts) and all(scripts.values()))
        self.assertFalse([p for p in parts if "|  |" in p], "an empty cell")

    def test_every_kind_of_sample_is_needed(self):
        life = list(made_up_life())
        for kind in sorted({s["what"] for s in life}):
            with self.subTest(kind), self.assertRaises(samples.Missing):
                everything(measurements(life=[s for s in life if s["what"] != kind]))

    def test_every_size_is_needed(self):
        life = list(made_up_life())
        for mib in tables.SIZES:
            with self.subTest(mib), self.assertRaises(samples.Missing):
                everything(measurements(life=[s for s in life if s.get("bar_mib") != mib]))

    def test_every_cell_is_needed(self):
        for i in range(len(made_up_report()["cells"])):
            report = made_up_report()
            del report["cells"][i]
            with self.subTest(i), self.assertRaises(samples.Missing):
                everything(measurements(report=report))

    def test_two_cells_of_one_place(self):
        report = made_up_report()
        report["cells"].append(copy.deepcopy(report["cells"][0]))
        with self.assertRaises(samples.Missing):
            tables.cpu_of_program(measurements(report=report))

    def test_what_the_command_skipped_is_named(self):
        report = made_up_report()
        report["cells"] = [c for c in report["cells"] if c["column"] != "p2p4k"]
        report["skipped"] = [{"column": "p2p4k", "reason": "no memory"}]
        self.assertEqual(tables.cpu_of_program(measurements(report=report)).count("not measured"), 6)

    def test_a_target_is_not_skipped(self):
        report = made_up_report()
        report["cells"] = [c for c in report["cells"] if c["column"] != "bounce"]
        report["skipped"] = [{"column": "bounce", "reason": "no view"}]
        with self.assertRaises(samples.Missing):
            tables.judged(measurements(report=report))


class Verdicts(unittest.TestCase):
    def test_samples(self):
        self.assertEqual(samples.samples(said("# words", '# sample {"what": "map", "wall_ns": 5}')),
                         [{"what": "map", "wall_ns": 5}])

    def test_report_in_pieces(self):
        text = json.dumps(made_up_report())
        pieces = [f"# report |{text[i:i + 100]}|" for i in range(0, len(text), 100)]
        whole = samples.report(said(*pieces))
        self.assertEqual(whole["cells"], made_up_report()["cells"])

    def test_a_lost_piece(self):
        text = json.dumps(made_up_report())
        pieces = [f"# report |{text[i:i + 100]}|" for i in range(0, len(text), 100)]
        with self.assertRaises(ValueError):
            samples.report(said(*pieces[:-1]))

    def test_another_schema(self):
        with self.assertRaises(samples.Missing):
            samples.report(said(f"# report |{json.dumps(made_up_report() | {'schema': 2})}|"))

    def test_no_report(self):
        with self.assertRaises(samples.Missing):
            samples.report(said("# words"))


class Page(unittest.TestCase):
    TEXT = "hand\n<!-- begin one -->\nold\n<!-- end one -->\nwritten\n<!-- begin two -->\n<!-- end two -->\n"

    def test_what_is_written_by_hand_stays(self):
        new = "hand\n<!-- begin one -->\n1\n<!-- end one -->\nwritten\n<!-- begin two -->\n2\n<!-- end two -->\n"
        self.assertEqual(page.fill(self.TEXT, {"one": "1", "two": "2"}), new)
        self.assertEqual(page.fill(new, {"one": "1", "two": "2"}), new)

    def test_markers(self):
        for text, parts in ((self.TEXT, {"one": "1"}), (self.TEXT, {"one": "1", "two": "2", "three": "3"}),
                            (self.TEXT.replace("end two", "end tow"), {"one": "1", "two": "2"}),
                            (self.TEXT + "<!-- begin one -->\n", {"one": "1", "two": "2"}),
                            (self.TEXT + self.TEXT, {"one": "1", "two": "2"})):
            with self.subTest(text=text, parts=parts), self.assertRaises(page.PageError):
                page.fill(text, parts)

    def test_the_page_has_a_place_for_each_part(self):
        text = (config.TOP / "docs" / "performance.md").read_text()
        page.fill(text, {name: "" for name in tables.PARTS})

    def test_plots_of_the_page(self):
        text = (config.TOP / "docs" / "performance.md").read_text()
        for name in plots.scripts(measurements()):
            self.assertIn(f"({name})", text)

    def test_gnuplot_takes_the_scripts(self):
        if not shutil.which("gnuplot"):
            self.skipTest("gnuplot is not installed: tools/deps bench")
        folder = config.TOP / "build"
        for name, text in plots.scripts(measurements()).items():
            plots.draw(text, folder / name)
            self.assertIn("<svg", (folder / name).read_text())
            (folder / name).unlink()
        with self.assertRaises(plots.PlotError):
            plots.draw("no such command\n", folder / "none.svg")

    def test_spread(self):
        report = made_up_report()
        report["cells"][0]["cpu_us_per_mib"] = {"median": 100, "min": 90, "max": 120}
        self.assertIn("| block, 4 KiB | 100 (90 to 120) |", tables.cpu_of_program(measurements(report=report)))

    def test_figures(self):
        self.assertEqual([tables.time(n) for n in (999, 1500, 45 * MS, 6117 * MS)],
                         ["999 ns", "1.50 us", "45.0 ms", "6.12 s"])
        self.assertEqual([tables.bytes_of(n) for n in (96, 262144, 16908288, 2 << 30)],
                         ["96 B", "256 KiB", "16.1 MiB", "2.00 GiB"])


class Suites(unittest.TestCase):
    def test_only_when_named(self):
        for name in ("bench-life", "bench-cpu", "bench-speed"):
            self.assertFalse(config.suites()[name].default)


if __name__ == "__main__":
    unittest.main()
