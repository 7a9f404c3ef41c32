#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Python binding against the library with a fake device.

Theory: a binding by ctypes goes wrong in silence: a field too few and all that follow are
something else.  So each structure's size and offsets are compared with lib/libvfio-p2p.abi,
which the library is held to, and each call is made on a device whose memory is a memfd, where
what it did can be seen.  NumPy's part is skipped where there is no NumPy.

usage: python_binding.py LIBRARY MODULE_DIR ABI SCRATCH_DIR
"""

import ctypes
import errno
import os
import pathlib
import re
import select
import sys
import tempfile
import unittest

LIBRARY, MODULE_DIR, ABI, SCRATCH = sys.argv[1:]
os.environ["VFIO_P2P_LIBRARY"] = LIBRARY
sys.dont_write_bytecode = True
sys.path.insert(0, MODULE_DIR)

import vfio_p2p as v    # noqa: E402

MIB = 1 << 20
fake = ctypes.CDLL(LIBRARY)
fake.python_fake_set.argtypes = [ctypes.c_uint32, ctypes.c_uint64, ctypes.c_uint64]
ROOT = tempfile.TemporaryDirectory()
root = ctypes.create_string_buffer(ROOT.name.encode())
MEMORY = fake.python_fake_begin(root)
DATA = bytes((i * 13 + i // 256) & 0xff for i in range(MIB))

try:
    import numpy
except ImportError:
    numpy = None


class Binding(unittest.TestCase):
    def setUp(self):
        self.file = tempfile.NamedTemporaryFile(dir=SCRATCH)
        self.file.write(DATA)
        self.file.flush()
        os.fsync(self.file.fileno())
        fake.python_fake_set(v.LIVE, 0, 0)
        self.device = v.Device.attach(MEMORY, "0000:03:00.0")
        self.window = self.device.window(2)
        self.addCleanup(self.file.close)
        self.addCleanup(self.device.close)
        self.addCleanup(self.window.close)

    def io(self, flags=v.READ, timeout=0):
        try:
            io = self.window.io(self.file.fileno(), flags, timeout)
        except v.Error as error:
            if "direct I/O" in error.cause:
                self.skipTest("the file system here does no direct I/O")
            raise
        self.addCleanup(io.close)
        return io

    def queue(self, depth):
        try:
            queue = self.device.queue(depth)
        except v.Error as error:
            if error.errno == errno.EOPNOTSUPP:
                self.skipTest("no io_uring here")
            raise
        self.addCleanup(queue.close)
        return queue

    def test_structures(self):
        """each structure has the library's layout"""
        lines = dict(re.findall(r"^struct (\w+) (.*)$", pathlib.Path(ABI).read_text(), re.MULTILINE))
        for name, mine in (("error", v._Error), ("state", v.State), ("io_report", v.Report), ("io_info", v.Info),
                           ("transfer", v._Transfer), ("completion", v._Completion)):
            size, members = lines["vp2p_" + name].split(": ")
            self.assertEqual(ctypes.sizeof(mine), int(size), name)
            for member in members.split("; "):
                offset, field = member.split(" ")[0], member.split(" ")[-1]
                self.assertEqual(getattr(mine, field).offset, int(offset), f"{name}.{field}")

    def test_device(self):
        """state, reset, the fd, the version"""
        self.assertEqual(self.device.fileno(), MEMORY)
        fake.python_fake_set(v.LIVE, 7, 3)
        state = self.device.state()
        self.assertEqual((state.state, state.generation, state.revokes[0]), (v.LIVE, 7, 3))
        self.device.reset()
        self.device.wait_live(0)
        self.assertRegex(v.version, r"^\d+\.\d+\.\d+$")

    def test_error(self):
        """an error has all its parts, and is an OSError"""
        with self.assertRaises(v.Error) as caught:
            self.device.window(9)
        self.assertEqual(caught.exception.errno, errno.EINVAL)
        self.assertIn("0000:03:00.0", caught.exception.device)
        self.assertTrue(caught.exception.step and caught.exception.cause and caught.exception.remedy)
        with self.assertRaisesRegex(v.Error, "has no window 63"):
            self.device.find(63)
        with self.assertRaises(OSError):
            v.Device.open("no address")

    def test_window(self):
        """numbers, lengths, the same window again"""
        self.assertEqual(len(self.window), 16 * MIB)
        with self.device.find(self.window.number) as again:
            self.assertEqual(len(again), 16 * MIB)
        with self.assertRaises(ValueError):
            again.map()

    def test_mapping(self):
        """a mapping is the device's memory, and stays while it is looked at"""
        mapping = self.window.map(4096, 8192)
        view = mapping.view()
        view[:4] = b"abcd"
        self.assertEqual(os.pread(MEMORY, 4, 4096), b"abcd")
        part = view[2:4]
        del view
        with self.assertRaises(BufferError):
            mapping.close()
        self.assertEqual(bytes(part), b"cd")
        del part
        mapping.close()
        mapping.close()
        with self.assertRaises(ValueError):
            mapping.view()
        with self.window.map(readonly=True) as fixed:
            self.assertTrue(fixed.view().readonly)

    @unittest.skipUnless(numpy, "no NumPy")
    def test_numpy(self):
        """an array is the device's memory, without a copy, and keeps it mapped"""
        mapping = self.window.map(0, 1 << 16)
        array = mapping.numpy("uint32")
        array[:3] = (1, 2, 0x01020304)
        self.assertEqual(os.pread(MEMORY, 12, 0), bytes.fromhex("010000000200000004030201"))
        tail = array[2:]
        del array
        self.assertRaises(BufferError, mapping.close)
        self.assertEqual(int(tail[0]), 0x01020304)
        del tail
        mapping.close()

    def test_transfers(self):
        """pread and pwrite, with their reports"""
        io = self.io(v.READ | v.WRITE)
        self.assertGreaterEqual(io.info().file_align, 512)
        report = io.pread(2 * MIB, MIB, 0)
        self.assertEqual((report.bytes_p2p, report.bytes_bounced), (MIB, 0))
        self.assertEqual(os.pread(MEMORY, MIB, 2 * MIB), DATA)
        self.assertIn(report.route_name, ("none", "switch", "host-bridge", "unknown"))
        report = io.pwrite(2 * MIB, 4096, 8192)
        self.assertEqual(report.bytes_p2p, 4096)
        self.assertEqual(os.pread(self.file.fileno(), 4096, 8192), DATA[:4096])
        with self.assertRaises(v.Error) as caught:
            io.pread(0, 100, 0)
        self.assertEqual(caught.exception.errno, errno.EINVAL)

    def test_queue(self):
        """a batch, by its eventfd"""
        io, queue = self.io(), self.queue(4)
        wanted = [(io, v.FILE_TO_WINDOW, i * 4096, i * 4096, 4096, i) for i in range(6)]
        self.assertEqual(queue.submit(wanted), 4)
        self.assertEqual(len(queue), 4)
        done = []
        while len(queue):
            select.select([queue], [], [])
            done += queue.reap(timeout_ms=0)
        self.assertEqual(sorted(c.tag for c in done), [0, 1, 2, 3])
        self.assertTrue(all(c.result == c.report.bytes_p2p == 4096 and not c.error for c in done))
        self.assertEqual(os.pread(MEMORY, 4 * 4096, 0), DATA[:4 * 4096])

    def test_queue_revoked(self):
        """one in a revocation waits, is cancelled, and says so"""
        io, queue = self.io(), self.queue(4)
        fake.python_fake_set(v.DRAINING, 0, 1)
        self.assertEqual(queue.submit([(io, v.FILE_TO_WINDOW, 0, 0, 4096, 5)]), 1)
        self.assertEqual(queue.reap(timeout_ms=0), [])
        queue.cancel(5)
        (done,) = queue.reap()
        self.assertEqual((done.tag, done.error.errno), (5, errno.ECANCELED))
        with self.assertRaisesRegex(v.Error, "it has completed"):
            queue.cancel(5)


class Tap(unittest.TestResult):
    def say(self, test, good, rest=""):
        print(f"{'ok' if good else 'not ok'} {self.testsRun} - {test.shortDescription()}{rest}")

    def addSuccess(self, test):
        self.say(test, True)

    def addSkip(self, test, reason):
        self.say(test, True, f" # SKIP {reason}")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.say(test, False)
        print("# " + self.failures[-1][1].replace("\n", "\n# "))

    def addError(self, test, err):
        super().addError(test, err)
        self.say(test, False)
        print("# " + self.errors[-1][1].replace("\n", "\n# "))


def main():
    tests = unittest.defaultTestLoader.loadTestsFromTestCase(Binding)
    print(f"1..{tests.countTestCases()}")
    result = Tap()
    tests.run(result)
    return not result.wasSuccessful()


if __name__ == "__main__":
    sys.exit(main())
