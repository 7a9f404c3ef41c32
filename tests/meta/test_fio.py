# SPDX-License-Identifier: MIT
"""The fio engine with a library that plays a device: what needs more resets than a machine makes.

The machine's own fio runs, and io_uring; the window is a file.  The real thing, with
peer-to-peer, is the machine suite fio.
"""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BLOCK = 65536
BLOCKS = 128
WINDOW = 64 << 20


def run(engine, folder, *options, storm=0):
    env = dict(os.environ, FIO_PLAYED_BAR=str(folder / "bar"))
    if storm:
        env["FIO_PLAYED_STORM"] = str(storm)
    return subprocess.run(["fio", "--name=job", f"--ioengine={engine}", "--direct=1", "--filename=disk", "--bs=64k",
                           *options], cwd=folder, env=env, capture_output=True, text=True, timeout=120)


class Played(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        done = subprocess.run([TOP / "tools/fio-engine", "--played"], capture_output=True, text=True)
        if done.returncode:
            raise AssertionError(f"tools/fio-engine --played: {done.stderr}")
        cls.engine = "external:" + done.stdout.strip()

    def setUp(self):
        keep = tempfile.TemporaryDirectory(dir=TOP / "build")
        self.addCleanup(keep.cleanup)
        self.folder = pathlib.Path(keep.name)
        self.disk = b"".join(i.to_bytes(4, "little") * (BLOCK // 4) for i in range(1, BLOCKS + 1))
        (self.folder / "disk").write_bytes(self.disk)
        (self.folder / "bar").write_bytes(b"")
        os.truncate(self.folder / "bar", WINDOW)
        plain = run("io_uring", self.folder, "--rw=read", "--size=64k")
        if plain.returncode:
            self.skipTest("fio's own io_uring does not work here: " + plain.stderr.strip().split("\n")[0])

    def fio(self, *options, **more):
        return run(self.engine, self.folder, "--device=03:00.0", *options, **more)

    def blocks(self, first, count):
        """What whole blocks are in the window there: numbers, None for what is none."""
        with open(self.folder / "bar", "rb") as bar:
            bar.seek(first)
            found = [bar.read(BLOCK) for _ in range(count)]
        numbers = [int.from_bytes(b[:4], "little") for b in found]
        return [n if n and b == n.to_bytes(4, "little") * (BLOCK // 4) else None for n, b in zip(numbers, found)]

    def test_reads(self):
        """fio: each request in a buffer of its own, where it was told to"""
        done = self.fio("--rw=read", "--size=512k", "--iodepth=8", "--window_offset=3m", "--region_align=64k")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(self.blocks(3 << 20, 8)), list(range(1, 9)))
        self.assertEqual((self.folder / "bar").read_bytes().count(b"\0"), WINDOW - 8 * BLOCK // 4)

    def test_storm(self):
        """fio: hundreds of resets, no request is lost or called failed"""
        for more in ((), ("--registerfiles", "--sqthread_poll")):
            done = self.fio("--rw=randread", "--norandommap", "--iodepth=8", "--time_based", "--runtime=2",
                            "--size=8m", "--on_reset=wait", *more, storm=2000)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("err= 0", done.stdout)
            self.assertRegex(done.stderr, r"job: \d+ requests met a reset and went again")
            self.assertNotIn(None, self.blocks(0, 8))

    def test_storm_fails(self):
        """fio: without on_reset=wait the first is an error"""
        done = self.fio("--rw=randread", "--norandommap", "--iodepth=8", "--time_based", "--runtime=60",
                        "--size=8m", storm=2000)
        self.assertEqual(done.returncode, 1)
        self.assertIn("on_reset=wait repeats what meets one", done.stderr)

    def test_latency_has_the_wait(self):
        """fio: a request that went again is one request, and as late as it was"""
        done = self.fio("--rw=randread", "--norandommap", "--iodepth=8", "--time_based", "--runtime=2",
                        "--size=8m", "--on_reset=wait", "--output-format=json", storm=100000)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, r"\d+ requests met a reset and went again")
        read = json.loads(done.stdout)["jobs"][0]["read"]
        submitted, completed, all_in_all = read["slat_ns"], read["clat_ns"], read["lat_ns"]
        self.assertEqual(submitted["N"], completed["N"])
        # The whole is its parts only if the time of the first issue counts.
        self.assertAlmostEqual((submitted["mean"] + completed["mean"]) / all_in_all["mean"], 1, places=3)


if __name__ == "__main__":
    unittest.main()
