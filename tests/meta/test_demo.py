# SPDX-License-Identifier: MIT
"""`make demo`, the first command of the README: it has to end with everything proven."""

import pathlib
import subprocess
import unittest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent


class Demo(unittest.TestCase):
    def test_demo(self):
        """the demo proves what it shows"""
        done = subprocess.run([TOP / "demo" / "run"], cwd=TOP, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("all of it proven", done.stdout.splitlines()[-1])
        self.assertNotIn("NOT PROVEN", done.stdout)
