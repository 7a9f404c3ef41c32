# SPDX-License-Identifier: MIT
"""A QEMU process: its command line, its monitor, and the guest's line to it."""

import json
import re
import socket
import subprocess
import threading
import time
import zlib

# All but the first are about speed or about never waiting for ever.
KERNEL_COMMAND_LINE = (
    "loglevel=7 log_buf_len=4M printk.devkmsg=on rdinit=/init "
    "panic_on_warn=1 oops=panic panic=-1 unknown_nmi_panic=1 "
    "hung_task_panic=1 sysctl.kernel.hung_task_timeout_secs=40 "
    "nokaslr mitigations=off random.trust_cpu=on "
    "rcupdate.rcu_expedited=1 cryptomgr.notests=1 "
    # To note the names of processes, the first event that is switched on patches the
    # scheduler, under two CPUs that run it all the time (boot.py, emulator_fault()).
    "trace_options=norecord-cmd "
    # A name space's disk then belongs to its controller: roles find it there.
    "nvme_core.multipath=N"
)


ARCH_COMMAND_LINE = {
    "amd64": "console=ttyS0 intel_iommu=on tsc=reliable no_timer_check",
    "arm64": "console=ttyAMA0",
}


def _ports(folder, sockets, arch):
    """Kernel log, verdict, line to the host: console, ttyS1 and ttyS2 of the guest."""
    if arch == "amd64":
        return ["-serial", f"file:{folder}/console.log", "-serial", f"file:{folder}/verdict.tap",
                "-chardev", f"socket,id=line,path={sockets}/line,server=on,wait=off", "-serial", "chardev:line"]
    # That machine has one port of its own, which is no ttyS.
    return ["-serial", f"file:{folder}/console.log", "-chardev", f"file,id=verdict,path={folder}/verdict.tap",
            "-chardev", f"socket,id=line,path={sockets}/line,server=on,wait=off",
            "-chardev", "null,id=first", "-chardev", "null,id=last",
            "-device", "pci-serial-4x,addr=1f.0,chardev1=first,chardev2=verdict,chardev3=line,chardev4=last"]


def command(qemu, topology, images, kernel, initramfs, append, extra, folder, sockets, arch="amd64"):
    """QEMU's words."""
    def fill(word):
        return re.sub(r"\{(\w+)\}", lambda m: str(images[m.group(1)]) if m.group(1) in images else m.group(0), word)

    return [
        *qemu, *map(fill, topology.qemu), *map(fill, extra),
        "-kernel", str(kernel), "-initrd", str(initramfs),
        "-append", f"{ARCH_COMMAND_LINE[arch]} {KERNEL_COMMAND_LINE} {append}".strip(),
        *_ports(folder, sockets, arch),
        "-qmp", f"unix:{sockets}/qmp,server=on,wait=off",
    ]


class MonitorError(Exception):
    def __init__(self, reply):
        super().__init__(str(reply))
        self.reply = reply


def _connect(path, alive, timeout=20):
    end = time.monotonic() + timeout
    while True:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(str(path))
            return sock
        except OSError:
            sock.close()
            if time.monotonic() > end or not alive():
                raise
            time.sleep(0.02)


class Monitor:
    """QEMU's monitor (QMP).  Events are kept until somebody waits for them."""

    def __init__(self, path, alive):
        self.file = _connect(path, alive).makefile("rw")
        self.events = []
        self.file.readline()    # the greeting
        self.execute({"execute": "qmp_capabilities"})

    def _next(self):
        line = self.file.readline()
        if not line:
            raise MonitorError({"error": {"desc": "QEMU has ended"}})
        return json.loads(line)

    def execute(self, request):
        self.file.write(json.dumps(request) + "\n")
        self.file.flush()
        while True:
            reply = self._next()
            if "event" in reply:
                self.events.append(reply)
            elif "error" in reply:
                raise MonitorError(reply)
            else:
                return reply

    def wait(self, name, timeout=20):
        # A query now and then keeps the stream flowing: no reader thread needed.
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for event in self.events:
                if event["event"] == name:
                    self.events.remove(event)
                    return event
            time.sleep(0.05)
            self.execute({"execute": "query-name"})
        raise MonitorError({"error": {"desc": f"no event {name} in {timeout} s"}})


def _read_ppm(path):
    """Width, height and the RGB bytes of a screendump."""
    data = path.read_bytes()
    head = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s", data)
    return int(head.group(1)), int(head.group(2)), data[head.end():]


class HostLine:
    """Answers what the guest asks: a line of JSON in, a line out."""

    def __init__(self, monitor, folder):
        self.monitor = monitor
        self.folder = folder
        self.kept = ""

    def answer(self, line):
        try:
            request = json.loads(line)
            kind = next((k for k in ("qmp", "hmp", "screendump", "keep", "kept") if k in request), None)
            if kind is None:
                return {"error": {"desc": "expected qmp, hmp, screendump, keep or kept"}}
            return getattr(self, f"_{kind}")(request)
        except MonitorError as err:
            return err.reply
        except (ValueError, AttributeError, OSError) as err:
            return {"error": {"desc": f"{type(err).__name__}: {err}"}}

    def _qmp(self, request):
        # An older event of that name is not the one waited for.
        waited = request.get("wait")
        self.monitor.events = [e for e in self.monitor.events if e["event"] != waited]
        reply = self.monitor.execute(request["qmp"])
        if waited:
            reply["event"] = self.monitor.wait(waited)
        return reply

    def _hmp(self, request):
        return self.monitor.execute({"execute": "human-monitor-command",
                                     "arguments": {"command-line": request["hmp"]}})

    def _keep(self, request):
        """What the guest's next life is to know."""
        self.kept = request["keep"]
        return {"return": ""}

    def _kept(self, _request):
        """Told once: whatever life comes unasked for knows nothing."""
        kept, self.kept = self.kept, ""
        return {"return": kept}

    def _screendump(self, request):
        name = re.sub(r"[^\w.-]", "_", request["screendump"])
        path = self.folder / f"{name}.ppm"
        self.monitor.execute({"execute": "screendump", "arguments": {"filename": str(path)}})
        width, height, rgb = _read_ppm(path)
        pixels = [rgb[3 * (y * width + x):][:3].hex() for x, y in request.get("pixels", [])]
        return {"return": {"width": width, "height": height, "crc32": zlib.crc32(rgb), "pixels": pixels}}


class Machine:
    def __init__(self, argv, folder, sockets):
        self.folder, self.sockets = folder, sockets
        self.errors = open(folder / "qemu.log", "w")
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                                        stdout=self.errors, stderr=self.errors)

    def alive(self):
        return self.process.poll() is None

    def run(self, timeout):
        """Serve the guest until the machine ends.  False when its time was over."""
        server = threading.Thread(target=self._serve, daemon=True)
        server.start()
        try:
            self.process.wait(timeout)
            return True
        except subprocess.TimeoutExpired:
            self._ask_where_it_hangs()
            return False
        finally:
            self.kill()
            server.join(5)
            self.errors.close()

    def _serve(self):
        try:
            self.monitor = Monitor(self.sockets / "qmp", self.alive)
            line = _connect(self.sockets / "line", self.alive)
            host = HostLine(self.monitor, self.folder)
            with line.makefile("rwb") as stream:
                for request in stream:
                    stream.write(json.dumps(host.answer(request)).encode() + b"\n")
                    stream.flush()
        except (OSError, MonitorError):
            pass    # the machine has ended; run() sees that

    def _ask_where_it_hangs(self):
        """An NMI makes the kernel print where it is: worth more than silence."""
        if hasattr(self, "monitor"):
            try:
                self.monitor.file.write('{"execute": "inject-nmi"}\n')
                self.monitor.file.flush()
                self.process.wait(3)
            except (OSError, subprocess.TimeoutExpired):
                pass

    def kill(self):
        if self.alive():
            self.process.kill()
        self.process.wait()
