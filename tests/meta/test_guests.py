# SPDX-License-Identifier: MIT
"""Boot machines that misbehave: the runner must call each of them a failure, and say why."""

import pathlib
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "vm"))

import boot      # noqa: E402
import config    # noqa: E402

RESULTS = config.TOP / "build" / "results" / "meta"


def run(name, kernel=None, kernel_dir=None):
    """The failures of a bad suite, on the first kernel if on no other: {test: why}, and its counts."""
    suite = config.suite(HERE / "suites" / f"{name}.toml")
    kernel = kernel or next(iter(config.kernels().values()))
    outcome = boot.boot(suite, kernel, kernel_dir or boot.fetch_kernel(kernel),
                        config.topologies()[suite.topology], RESULTS)
    return dict(outcome.verdict.failures()), outcome.verdict


def debug_kernel():
    """The kernel that finds leaks, and its folder: building one takes too long for a test."""
    kernel = config.kernels()["debug"]
    found = subprocess.run([*kernel.fetch, "--if-cached"], cwd=config.TOP, capture_output=True, text=True)
    if found.returncode:
        raise unittest.SkipTest("no debug kernel of this configuration is cached")
    return kernel, pathlib.Path(found.stdout.strip())


class BadGuests(unittest.TestCase):
    def expect(self, failures, name, why):
        self.assertIn(name, failures, f"not called a failure: {name}; only: {failures}")
        self.assertIn(why, failures[name])

    def test_survivors(self):
        """wrongs that the machine survives"""
        failures, verdict = run("survivors")
        for name, why in {
            "fails: this is wrong": "",
            "fails with status 0: this is wrong": "",
            "hangs": "not done after 1 s",
            "is silent": "planned -1 results, gave 0",
            "gives fewer": "planned 3 results, gave 2",
            "exits with status 3": "exit status 3",
            "is killed": "killed by SIGSEGV",
            "bails": "bailed out",
            "forges": "planned -1 results, gave 3",
            "splats": "kernel log: BUG: written by the test",
            "expects in vain": "did not log what was expected: this never comes",
            "warns": "kernel log: WARNING: ",
            "bad cases: fails": "1 + 1 is 2, want 3 = 3",
            "bad cases: crashes": "killed by SIGBUS",
            "bad cases: hangs": "not done after 1 s",
            "cannot be started": "bailed out",
            "unload": "p2p-vfio-pci: rmmod: EAGAIN",
        }.items():
            with self.subTest(name):
                self.expect(failures, name, why)
        self.assertEqual(len(failures), 17, failures)
        results = {r.name: r.ok for r in verdict.results}
        self.assertTrue(results["good before"] and results["good after"])

    def test_oops(self):
        """a kernel that oopses"""
        failures, _ = run("oops")
        self.expect(failures, "bad", "nothing was run: never run")
        self.expect(failures, "verdict", "no complete verdict")
        self.expect(failures, "verdict", "Kernel panic - not syncing: sysrq triggered crash")

    def test_warn(self):
        """a kernel that warns"""
        failures, _ = run("warn")
        self.expect(failures, "verdict", "panic_on_warn set")

    def test_power_off(self):
        """a machine that ends early, with status 0"""
        failures, verdict = run("power-off")
        self.expect(failures, "bad", "this test")
        self.expect(failures, "verdict", "no complete verdict")
        self.assertEqual(verdict.counts()[0], 2)

    def test_reboots(self):
        """a machine with several lives that begins one by accident"""
        failures, verdict = run("reboots")
        self.expect(failures, "verdict", "expected result 3, 'bad', and read: ok 1 - set-up")
        self.expect(failures, "verdict", "no complete verdict")
        # That which it was meant to begin is none.
        self.assertEqual([r.name for r in verdict.results[:3]], ["set-up", "good", "set-up"])

    def test_stopped(self):
        """a machine that stands still"""
        failures, _ = run("stopped")
        self.expect(failures, "verdict", "the machine had not ended after")

    def test_no_machine(self):
        """a machine that does not start"""
        failures, verdict = run("no-machine")
        self.expect(failures, "verdict", "'no-such-device' is not a valid device model name")
        self.assertEqual(verdict.counts()[0], 0)

    def test_warn_on_exit(self):
        """a driver that warns when it is unloaded"""
        failures, _ = run("warn-on-exit")
        self.expect(failures, "kernel log", "WARNING: ")
        self.assertEqual(list(failures), ["kernel log"])

    def test_leak(self):
        """a driver that loses memory, on the debug kernel"""
        failures, _ = run("leak", *debug_kernel())
        self.expect(failures, "kernel log", "kmemleak: 1 objects that nothing points to; 0xffffffff")
        self.assertEqual(list(failures), ["kernel log"])

    def test_leaks_unseen(self):
        """a debug kernel that does not look for leaks"""
        failures, _ = run("leaks-unseen", *debug_kernel())
        self.expect(failures, "kernel log", "kmemleak cannot scan: EPERM")
        self.assertEqual(list(failures), ["kernel log"])


if __name__ == "__main__":
    unittest.main()
