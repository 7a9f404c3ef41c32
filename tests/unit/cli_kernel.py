#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plays the kernel's part of binding in a tree of cli_tree.py.

    cli_kernel.py ROOT [--deaf DRIVER]... [--busy BDF] [--slow DRIVER]

The attributes bind, unbind and drivers_probe become FIFOs; what is written to
them moves the "driver" links.  ROOT/log gets a line for each, with the override
of that moment.  --deaf: a driver whose probe fails; --busy: a device that never
lets go of its driver; --slow: a driver whose probe takes a second.  ROOT/ready appears when everything is in place.
"""

import argparse
import os
import pathlib
import selectors
import time


class Kernel:
    def __init__(self, root, deaf, busy, slow):
        self.root, self.deaf, self.busy = pathlib.Path(root), deaf, busy
        self.slow = slow
        self.bus = self.root / "sys/bus/pci"
        self.selector = selectors.DefaultSelector()

    def serve_file(self, path, action):
        path.unlink()
        os.mkfifo(path)
        # For reading and writing: there is always a reader, and never an end.
        self.selector.register(os.open(path, os.O_RDWR | os.O_NONBLOCK), selectors.EVENT_READ, action)

    def serve(self):
        for driver in (self.bus / "drivers").iterdir():
            self.serve_file(driver / "bind", lambda bdf, d=driver.name: self.bind(d, bdf))
            self.serve_file(driver / "unbind", lambda bdf, d=driver.name: self.unbind(d, bdf))
        self.serve_file(self.bus / "drivers_probe", self.probe)
        (self.root / "ready").touch()
        while True:
            for key, _ in self.selector.select():
                key.data(os.read(key.fd, 64).decode().strip())

    def override(self, bdf):
        content = (self.bus / "devices" / bdf / "driver_override").read_text().strip()
        return "" if content == "(null)" else content

    def log(self, *words):
        with open(self.root / "log", "a") as file:
            print(*words, file=file)

    def bind(self, driver, bdf):
        self.log("bind", driver, bdf, f"override={self.override(bdf)}")
        if driver == self.slow:
            time.sleep(1)
        link = self.bus / "devices" / bdf / "driver"
        home = self.bus / "drivers" / driver
        if driver in self.deaf or not home.exists():
            return
        (home / bdf).symlink_to(self.bus / "devices" / bdf)
        link.symlink_to(os.path.relpath(home, link.resolve().parent))

    def unbind(self, driver, bdf):
        self.log("unbind", driver, bdf, f"override={self.override(bdf)}")
        if bdf in self.busy:
            return
        (self.bus / "drivers" / driver / bdf).unlink()
        (self.bus / "devices" / bdf / "driver").unlink()

    def probe(self, bdf):
        self.log("probe", bdf, f"override={self.override(bdf)}")
        self.bind(self.override(bdf) or "stock", bdf)
        self.log("probed", bdf)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root")
    parser.add_argument("--deaf", action="append", default=[])
    parser.add_argument("--busy", action="append", default=[])
    parser.add_argument("--slow")
    args = parser.parse_args()
    Kernel(args.root, args.deaf, args.busy, args.slow).serve()


main()
