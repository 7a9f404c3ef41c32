# SPDX-License-Identifier: MIT
"""What a verdict has to be to be believed: every way it can be wrong, without booting."""

import dataclasses
import fnmatch
import importlib.machinery
import importlib.util
import pathlib
import sys
import tempfile
import types
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "vm"))

import boot      # noqa: E402
import config    # noqa: E402
import machine   # noqa: E402
import matrix    # noqa: E402
import storage   # noqa: E402
import verdict   # noqa: E402

GOOD = """\
KTAP version 1
1..4
ok 1 - set-up
    KTAP version 1
    1..2
    # a word
    ok 1 - one
    ok 2 - two # SKIP no such device
ok 2 - t_io
ok 3 - unload # SKIP p2p-vfio-pci is not loaded
ok 4 - kernel log
# verdict complete plan=4 ok=4 fail=0
"""


class Verdicts(unittest.TestCase):
    def failures(self, text, tests=("t_io",)):
        return verdict.parse(text, tests).failures()

    def assert_fails(self, text, why):
        failures = self.failures(text)
        self.assertTrue(failures, "believed")
        self.assertIn(why, " ".join(" ".join(f) for f in failures))

    def test_good(self):
        self.assertEqual(self.failures(GOOD), [])
        self.assertEqual(verdict.parse(GOOD, ["t_io"]).counts(), (1, 0, 1))
        self.assertEqual(self.failures(GOOD.replace("\n", "\r\n")), [])

    def test_every_line_but_words_is_needed(self):
        lines = GOOD.splitlines(keepends=True)
        for i, line in enumerate(lines):
            if "KTAP" in line or "# a word" in line:
                continue
            with self.subTest(missing=line):
                self.assertTrue(self.failures("".join(lines[:i] + lines[i + 1:])))

    def test_every_prefix_fails(self):
        lines = GOOD.splitlines(keepends=True)
        for i in range(len(lines)):
            with self.subTest(lines=i):
                self.assertTrue(self.failures("".join(lines[:i])))

    def test_cut_last_line(self):
        self.assert_fails(GOOD.replace(" fail=0\n", ""), "no complete verdict")

    def test_sub_test_fails(self):
        self.assert_fails(GOOD.replace("    ok 1 - one", "    not ok 1 - one # x.c:1: no"),
                          "t_io is called ok, but a sub-test failed")

    def test_counts_do_not_agree(self):
        self.assert_fails(GOOD.replace("ok=4 fail=0", "ok=3 fail=1"), "the last line says")

    def test_fewer_sub_tests(self):
        self.assert_fails(GOOD.replace("    ok 1 - one\n", ""), "planned 2")

    def test_no_sub_tests(self):
        self.assert_fails(GOOD.replace("    ", "# "), "planned None sub-tests and gave 0")

    def test_other_test(self):
        self.assert_fails(GOOD.replace("t_io", "t_other"), "expected result 2, 't_io'")

    def test_suite_wants_more(self):
        self.assertTrue(self.failures(GOOD, ["t_io", "t_more"]))

    def test_doubled(self):
        self.assert_fails(GOOD + GOOD, "after the verdict")

    def test_forged_inside_a_test(self):
        start = GOOD.split("ok 2 - t_io")[0]
        forged = start + "".join(f"    {line}\n" for line in GOOD.splitlines())
        self.assert_fails(forged, "no complete verdict")

    def test_log_splat_beside_failed_sub_test(self):
        bad = GOOD.replace("    ok 1 - one", "    not ok 1 - one # no") \
            .replace("ok 2 - t_io", "not ok 2 - t_io # 1 of 2 failed; kernel log: BUG: x") \
            .replace("ok=4 fail=0", "ok=3 fail=1")
        self.assertEqual(self.failures(bad), [("t_io: one", "no"),
                                              ("t_io", "1 of 2 failed; kernel log: BUG: x")])

    def test_garbage(self):
        self.assert_fails(GOOD.replace("# verdict", "\x00# verdict"), "unknown line")
        self.assert_fails("", "no complete verdict")


class Judgement(unittest.TestCase):
    """A good verdict is not enough."""

    def judge(self, console="", in_time=True, status=0):
        suite = types.SimpleNamespace(tests=[config.Test(run=["t_io"])])
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "verdict.tap").write_text(GOOD)
            (folder / "console.log").write_text(console)
            (folder / "qemu.log").write_text("qemu: warning: x\nqemu: it broke\n")
            return [why for _, why in boot._judge(suite, folder, in_time, status, 60).failures()]

    def test_good(self):
        self.assertEqual(self.judge("[ 1.0] all is well"), [])

    def test_panic_on_the_way_down(self):
        self.assertEqual(self.judge("[ 9.0] Kernel panic - not syncing: late\n"),
                         ["the kernel said: Kernel panic - not syncing: late"])

    def test_qemu_fails(self):
        self.assertEqual(self.judge(status=1), ["QEMU ended with status 1: qemu: it broke"])

    def test_never_ends(self):
        self.assertEqual(self.judge(in_time=False), ["the machine had not ended after 60 s"])


class EmulatorFault(unittest.TestCase):
    """Only what the emulator is known for is worth a second try."""

    def fault(self, text):
        with tempfile.TemporaryDirectory() as folder:
            console = pathlib.Path(folder, "console.log")
            console.write_text(text)
            return boot.emulator_fault(console)

    def test_what_counts(self):
        self.assertTrue(self.fault("[    3.4] Oops: int3: 0000 [#1] SMP NOPTI\n"))
        self.assertFalse(self.fault("[    3.4] Oops: general protection fault: 0000 [#1]\n"))
        self.assertFalse(self.fault("[    3.4] Oops: Oops: 0002 [#1]\nint3\n"))


class Data(unittest.TestCase):
    """The data files say what the runner understands, and nothing else."""

    def write(self, text):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name, "x.toml")
        path.write_text(text)
        return path

    def test_unknown_key(self):
        with self.assertRaisesRegex(config.ConfigError, "unknown key timout"):
            config.suite(self.write('about = "x"\ntopology = "bare"\n'
                                    'tests = [{ run = ["t"], timout = 3 }]\n'))

    def test_no_tests(self):
        with self.assertRaisesRegex(config.ConfigError, "could not fail"):
            config.suite(self.write('about = "x"\ntopology = "bare"\ntests = []\n'))

    def test_suites_name_what_exists(self):
        kernels, topologies = config.kernels(), config.topologies()
        for suite in [*config.suites().values(), *config.suites(HERE / "suites").values()]:
            with self.subTest(suite.name):
                self.assertIn(suite.topology, topologies)
                self.assertLessEqual(set(suite.kernels), set(kernels))

    def run_program(self):
        loader = importlib.machinery.SourceFileLoader("run", str(HERE.parent / "run"))
        run = importlib.util.module_from_spec(importlib.util.spec_from_loader("run", loader))
        loader.exec_module(run)
        return run

    def test_kernels_by_name(self):
        run = self.run_program()
        def names(wanted):
            return [k.name for k in run.chosen_kernels(wanted)]

        self.assertEqual(names("7.2,7.3-rt,7.2"), ["7.2", "7.3-rt"])
        self.assertEqual(names(None), [k.name for k in config.kernels().values() if k.default])
        self.assertEqual(names("all"), [k.name for k in config.kernels().values() if k.arch == "amd64"])
        for wrong in ("7.2,", "7.2,never"):
            with self.assertRaisesRegex(config.ConfigError, "no kernel is called"):
                names(wrong)

    def test_which_suite_runs_on_which_kernel(self):
        runs_on = self.run_program().runs_on
        def kernel(**keys):
            return config.Kernel("k", "", [], [], **keys)
        def suite(*kernels):
            return types.SimpleNamespace(name="s", kernels=kernels)

        self.assertTrue(runs_on(suite(), kernel(), []))
        self.assertTrue(runs_on(suite("k"), kernel(), []))
        self.assertFalse(runs_on(suite("other"), kernel(), ["vm"]))
        self.assertTrue(runs_on(suite("other"), kernel(), ["s"]))
        self.assertTrue(runs_on(suite("other"), kernel(like="other"), []))
        self.assertFalse(runs_on(suite(), kernel(suites=["t"]), []))
        self.assertTrue(runs_on(suite(), kernel(suites=["s", "t"]), []))
        self.assertTrue(runs_on(suite(), kernel(suites=["t"]), ["s"]))
        self.assertFalse(runs_on(suite(), kernel(plain=["t*"]), [], plain=True))
        self.assertTrue(runs_on(suite(), kernel(plain=["t", "s*"]), [], plain=True))
        self.assertTrue(runs_on(suite(), kernel(plain=["t"]), ["vm"]))

    def test_kernels_name_what_exists(self):
        kernels, suites = config.kernels(), config.suites()
        for kernel in kernels.values():
            with self.subTest(kernel.name):
                self.assertIn(kernel.like, ["", *kernels])
                self.assertLessEqual(set(kernel.suites), set(suites))
                for pattern in kernel.plain:
                    self.assertTrue(fnmatch.filter(suites, pattern), pattern)

    def test_a_part_has_a_twin(self):
        here = self.write("""
            [part.machine]
            qemu = "-machine q35"
            [part.machine-arm64]
            qemu = "-machine virt"
            roles = { target = "01.0" }
            [part.same]
            qemu = "-same"
            [topology.t]
            about = "t"
            parts = ["machine", "same"]
            """)
        self.assertEqual(config.topologies(here)["t"].qemu, ["-machine", "q35", "-same"])
        there = config.topologies(here, "arm64")["t"]
        self.assertEqual((there.qemu, there.roles), (["-machine", "virt", "-same"], {"target": "01.0"}))

    def test_default_false_runs_only_by_name(self):
        run = self.run_program()
        here = {name: types.SimpleNamespace(name=name, default=name != "long") for name in ("short", "long")}
        real, config.suites = config.suites, lambda: here
        self.addCleanup(setattr, config, "suites", real)
        def names(*wanted):
            return [s.name for s in run.chosen_suites(wanted)]

        self.assertEqual(names(), ["short"])
        self.assertEqual(names("vm"), ["short"])
        self.assertEqual(names("long"), ["long"])
        self.assertEqual(names("lo*"), ["long"])
        self.assertEqual(names("vm", "long"), ["short", "long"])

    def test_topology_is_filled_in(self):
        topology = config.topologies()["slow-disk"]
        images = {n: f"/img/{n}" for n in ("raw", "ext4", "xfs", "slow")}
        for name, latency in (("7.3", "300000000"), ("debug", "1200000000")):
            argv = machine.command(["qemu"], topology, images | boot.latencies(config.kernels()[name]),
                                   "k", "i", "", [], "f", "s")
            self.assertFalse([w for w in argv if "{" in w])
            self.assertTrue([w for w in argv if f"latency-ns={latency}," in w])


ROW = "    # matrix: reset | a reset | waits (longest 3 ms) | whole (2 of 2) | ends first | took 1 of 2 ms | t_x:a case\n"
PROMISE = matrix.Promise("reset", "a reset", ("waits", "whole", "ends first"), ("t_x:a case",))


class Matrix(unittest.TestCase):
    """The table of events: what it names exists, and what tests have seen is compared with it."""

    def seen(self, text):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "suite").mkdir()
            pathlib.Path(folder, "suite", "verdict.tap").write_text(text)
            return matrix.rows(pathlib.Path(folder))

    def differences(self, text=ROW, promise=PROMISE):
        return " ".join(matrix.disagreements(self.seen(text), [promise]))

    def test_docs_name_what_exists(self):
        known = matrix.promises()
        self.assertGreaterEqual(len(known), 32)
        self.assertEqual([], list(matrix.mistakes(known)))

    def test_every_case_of_a_matrix_program_is_in_the_docs(self):
        named = {test for promise in matrix.promises() for test in promise.tests}
        for path in sorted(matrix.GUEST.glob("t_matrix*.c")):
            for case in matrix.cases(path.stem):
                self.assertIn(f"{path.stem}:{case}", named)

    def test_agreement(self):
        self.assertEqual("", self.differences())

    def test_other_words(self):
        self.assertIn("says", self.differences(ROW.replace("waits", "undisturbed")))

    def test_no_row(self):
        self.assertIn("has printed no row", self.differences(""))

    def test_row_that_is_not_in_the_docs(self):
        self.assertIn("has no row that names", self.differences(ROW.replace("a case", "another")))
        self.assertIn("has no row that names", self.differences(ROW.replace("reset |", "flr |")))

    def test_mistakes(self):
        def wrong(**change):
            return " ".join(matrix.mistakes([dataclasses.replace(PROMISE, **change)]))

        self.assertIn("no program t_x", wrong())
        self.assertIn("has no case", wrong(tests=("t_smoke:no such case",)))
        self.assertIn("neither a test nor", wrong(tests=()))
        self.assertEqual("", wrong(tests=(), why_none="a reason"))


STORAGE = ("    # storage: x | a disk | P2P | CPU | P2P | nvmeN: none | proven | - | - | 7.3.4 | t_x:a case\n")


class Storage(unittest.TestCase):
    """The table of storage: every row has a test, and what tests have seen is compared with it."""

    def seen(self, text):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "suite").mkdir()
            pathlib.Path(folder, "suite", "verdict.tap").write_text(text)
            return storage.rows(pathlib.Path(folder))

    def differences(self, text, promised):
        return " ".join(storage.disagreements("7.2", self.seen(text), promised))

    def promised(self, **cells):
        row = storage.cells_of(self.seen(STORAGE)["x"])
        for head, text in cells.items():
            row[storage.HEAD.index(f"`{head}()`")] = text
        return {"x": row}

    def test_docs_have_what_the_tests_have(self):
        self.assertEqual(sorted(storage.known_ids()), sorted(storage.documented()))

    def test_every_case_is_named(self):
        for cells in storage.documented().values():
            self.assertEqual(len(storage.HEAD), len(cells), cells[0])
            program, case = cells[-1].strip("`").split(":", 1)
            self.assertIn(case, matrix.cases(program), cells[0])

    def test_agreement(self):
        self.assertEqual("", self.differences(STORAGE, self.promised()))
        self.assertEqual("", self.differences(STORAGE, self.promised(read="7.3: CPU<br>7.2: P2P")))

    def test_disagreement(self):
        self.assertIn("says", self.differences(STORAGE, self.promised(read="CPU")))
        self.assertIn("says", self.differences(STORAGE, self.promised(read="7.3: P2P<br>7.2: EINVAL")))
        self.assertIn("no such row", self.differences(STORAGE, {}))

    def test_cells_of_two_kernels(self):
        cell = storage.merged({"7.3": "P2P", "7.2": "EINVAL"})
        self.assertEqual("P2P", storage.part_for(cell, "7.3"))
        self.assertEqual("EINVAL", storage.part_for(cell, "7.2"))
        self.assertEqual("P2P", storage.merged({"7.3": "P2P", "7.2": "P2P"}))

    def test_what_is_not_compared_does_not_count(self):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "suite").mkdir()
            pathlib.Path(folder, "suite", "verdict.tap").write_text(STORAGE)
            shown = {kernel: storage.show(kernel, pathlib.Path(folder), {"suite"}) for kernel in ("7.3", "7.3-rt")}
            self.assertIsNone(storage.show("7.3", pathlib.Path(folder), {"another"}))
        self.assertIn("no such row", " ".join(shown["7.3"]))
        self.assertIsNone(shown["7.3-rt"])

    def test_missing_rows(self):
        promised = self.promised()
        self.assertIn("x: no test has printed it", list(storage.missing({}, promised)))


if __name__ == "__main__":
    unittest.main()
