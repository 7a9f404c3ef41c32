# SPDX-License-Identifier: MIT
"""Files and the memory of VFIO devices, peer-to-peer: libvfio-p2p for Python.

    import os, vfio_p2p

    fd = os.open("data.bin", os.O_RDONLY)
    with vfio_p2p.Device.open("0000:03:00.0") as device, \\
         device.window(bar=2) as window, window.io(fd) as io:
        report = io.pread(window_offset=0, length=1 << 20, file_offset=0)
        print(report.bytes_p2p, "bytes by", report.route_name)
        with window.map() as mapping:
            print(mapping.numpy("float32")[:4])     # by the CPU, without a copy

Calls are the library's (see its manual, libvfio-p2p(3)); an error is an Error with its
device, step, cause and remedy.  The interpreter's lock is not held during a call, so threads
of one process can transfer at once.  A mapping cannot be closed while views of it are alive.
The library is libvfio-p2p.so.0, or what VFIO_P2P_LIBRARY names.
"""

import ctypes
import os
import weakref
from ctypes import POINTER, byref, c_char, c_char_p, c_int, c_int32, c_int64, c_uint, c_uint32, c_uint64, c_void_p

FILE_TO_WINDOW, WINDOW_TO_FILE = 1, 2
READ, WRITE, ALLOW_BUFFERED, MEMORY_KEPT, NO_RETRY = (1 << bit for bit in range(5))
LIVE, DRAINING, QUIESCED, GONE, CLOSED = range(1, 6)


class _Error(ctypes.Structure):
    _fields_ = [("code", c_int), ("device", c_char * 64), ("step", c_char * 64),
                ("cause", c_char * 512), ("remedy", c_char * 256)]


class Error(OSError):
    """Why a call failed, and what to do: errno, device, step, cause, remedy."""

    def __init__(self, raw):
        self.device, self.step, self.cause, self.remedy = (
            getattr(raw, name).decode(errors="replace") for name in ("device", "step", "cause", "remedy"))
        super().__init__(raw.code, f"{self.device}: could not {self.step}: {self.cause}.  Remedy: {self.remedy}")


class State(ctypes.Structure):
    """A moment's view of a device: struct vp2p_state."""
    _fields_ = [("state", c_uint32), ("windows", c_uint32),
                *((name, c_uint64) for name in (
                    "generation", "pinned_folios", "touched_folios", "faults_pmd", "faults_pte", "faults_refused",
                    "faults_waited", "drain_timeouts", "drain_last_us", "drain_max_us")),
                ("revokes", c_uint64 * 16), ("revoke_us", c_uint64),
                ("revoke_cause", c_int32), ("provider_reason", c_uint32)]


class Report(ctypes.Structure):
    """Which way the bytes of one transfer went: struct vp2p_io_report."""
    _fields_ = [("bytes_p2p", c_uint64), ("bytes_bounced", c_uint64), ("generation", c_uint64),
                ("route", c_uint32), ("retries", c_uint32), ("reserved", c_uint64 * 4)]

    @property
    def route_name(self):
        return _lib.vp2p_route_name(self.route).decode()


class Info(ctypes.Structure):
    """Alignments and route of an Io: struct vp2p_io_info."""
    _fields_ = [("mem_align", c_uint64), ("file_align", c_uint64), ("route", c_uint32), ("reserved", c_uint32 * 5)]


class _Transfer(ctypes.Structure):
    _fields_ = [("io", c_void_p), ("direction", c_uint32), ("reserved", c_uint32), ("window_offset", c_uint64),
                ("file_offset", c_uint64), ("length", c_uint64), ("tag", c_uint64)]


class _Completion(ctypes.Structure):
    _fields_ = [("tag", c_uint64), ("result", c_int64), ("report", Report), ("err", _Error)]


_lib = ctypes.CDLL(os.environ.get("VFIO_P2P_LIBRARY", "libvfio-p2p.so.0"))
_P = c_void_p
for _name, _result, *_arguments in (
        ("version", c_char_p), ("route_name", c_char_p, c_uint), ("state_name", c_char_p, c_uint),
        ("open", c_int, c_char_p, c_uint, POINTER(_P)), ("attach", c_int, c_int, c_char_p, POINTER(_P)),
        ("close", None, _P), ("device_fd", c_int, _P), ("get_state", c_int, _P, POINTER(State)),
        ("wait_live", c_int, _P, c_int), ("reset", c_int, _P),
        ("window_create", c_int, _P, c_uint, c_uint64, c_uint64, c_uint, POINTER(_P)),
        ("window_find", c_int, _P, c_uint, c_uint, POINTER(_P)), ("window_destroy", None, _P),
        ("window_id", c_uint, _P), ("window_length", c_uint64, _P),
        ("map", c_int, _P, c_uint64, c_uint64, c_uint, POINTER(_P)), ("unmap", c_int, _P, c_uint64),
        ("io_open", c_int, _P, c_int, c_uint, c_int, POINTER(_P)), ("io_close", None, _P),
        ("io_describe", None, _P, POINTER(Info)),
        ("pread", c_int64, _P, c_uint64, c_uint64, c_uint64, POINTER(Report)),
        ("pwrite", c_int64, _P, c_uint64, c_uint64, c_uint64, POINTER(Report)),
        ("queue_create", c_int, _P, c_uint, POINTER(_P)), ("queue_destroy", None, _P),
        ("queue_submit", c_int, _P, POINTER(_Transfer), c_uint),
        ("queue_reap", c_int, _P, POINTER(_Completion), c_uint, c_int), ("queue_cancel", c_int, _P, c_uint64),
        ("queue_eventfd", c_int, _P), ("queue_pending", c_uint, _P)):
    _function = getattr(_lib, "vp2p_" + _name)
    _fails = _result in (c_int, c_int64) and _name not in ("device_fd", "queue_eventfd")
    _function.restype, _function.argtypes = _result, [*_arguments, *[POINTER(_Error)] * _fails]

version = _lib.vp2p_version().decode()


def _call(name, *arguments):
    """A call that can fail: its result, or an Error."""
    error = _Error()
    result = getattr(_lib, "vp2p_" + name)(*arguments, byref(error))
    if result < 0:
        raise Error(error)
    return result


class _Handle:
    """An object of the library's, and what it must not outlive."""
    _end = None

    def __init__(self, create, *arguments, of=None):
        self._p, self._of = c_void_p(), of
        _call(create, *arguments, byref(self._p))

    def close(self):
        if self._p:
            getattr(_lib, "vp2p_" + self._end)(self._p)
            self._p = c_void_p()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def p(self):
        if not self._p:
            raise ValueError("it is closed")
        return self._p


class Device(_Handle):
    _end = "close"

    @classmethod
    def open(cls, bdf, flags=0):
        return cls("open", bdf.encode(), flags)

    @classmethod
    def attach(cls, fd, bdf=None):
        """A VFIO device that the program has opened itself; fd stays the program's."""
        return cls("attach", fd, bdf.encode() if bdf else None)

    def window(self, bar, offset=0, length=0, write_combining=False):
        return Window("window_create", self.p, bar, offset, length, int(write_combining), of=self)

    def find(self, number, write_combining=False):
        return Window("window_find", self.p, number, int(write_combining), of=self)

    def queue(self, depth):
        return Queue("queue_create", self.p, depth, of=self)

    def fileno(self):
        return _lib.vp2p_device_fd(self.p)

    def state(self):
        state = State()
        _call("get_state", self.p, byref(state))
        return state

    def wait_live(self, timeout_ms=-1):
        _call("wait_live", self.p, timeout_ms)

    def reset(self):
        _call("reset", self.p)


class Window(_Handle):
    _end = "window_destroy"

    @property
    def number(self):
        return _lib.vp2p_window_id(self.p)

    def __len__(self):
        return _lib.vp2p_window_length(self.p)

    def map(self, offset=0, length=0, readonly=False):
        return Mapping(self, offset, length or len(self) - offset, readonly)

    def io(self, fd, flags=READ, live_timeout_ms=0):
        return Io("io_open", self.p, fd, flags, live_timeout_ms, of=self)


class Mapping:
    """Part of a window in this process's memory: a buffer, for NumPy and for os.preadv()."""

    def __init__(self, window, offset, length, readonly):
        at = c_void_p()
        _call("map", window.p, offset, length, int(readonly), byref(at))
        self._at, self._length, self._readonly = at, length, readonly
        self._bytes = (ctypes.c_ubyte * length).from_address(at.value)

    def view(self):
        """A memoryview of bytes."""
        if self._bytes is None:
            raise ValueError("it is closed")
        view = memoryview(self._bytes).cast("B")
        return view.toreadonly() if self._readonly else view

    def numpy(self, dtype="uint8"):
        """A NumPy array on the device's memory: each access goes over the bus."""
        import numpy
        return numpy.frombuffer(self.view(), dtype=dtype)

    def close(self):
        if self._bytes is None:
            return
        alive = weakref.ref(self._bytes)
        self._bytes = None
        if alive():
            self._bytes = alive()
            raise BufferError("views of the mapping are still in use")
        _call("unmap", self._at, self._length)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Io(_Handle):
    """A file and a window, ready for transfers."""
    _end = "io_close"

    def info(self):
        info = Info()
        _lib.vp2p_io_describe(self.p, byref(info))
        return info

    def _transfer(self, name, *arguments):
        report = Report()
        _call(name, self.p, *arguments, byref(report))
        return report

    def pread(self, window_offset, length, file_offset):
        return self._transfer("pread", window_offset, length, file_offset)

    def pwrite(self, window_offset, length, file_offset):
        return self._transfer("pwrite", window_offset, length, file_offset)


class Completion:
    """A transfer that has ended: tag, result (bytes), report, error (or None)."""

    def __init__(self, raw):
        self.tag, self.result, self.error = raw.tag, raw.result, None
        self.report = Report.from_buffer_copy(raw.report)
        if raw.result < 0:
            self.error = Error(raw.err)


class Queue(_Handle):
    """Many transfers at a time; fileno() is for select, selectors and asyncio."""
    _end = "queue_destroy"

    def submit(self, transfers):
        """Of (io, direction, window_offset, file_offset, length, tag); how many were taken."""
        raw = [_Transfer(io.p, direction, 0, *rest) for io, direction, *rest in transfers]
        return _call("queue_submit", self.p, (_Transfer * len(raw))(*raw), len(raw))

    def reap(self, most=64, timeout_ms=-1):
        done = (_Completion * most)()
        return [Completion(raw) for raw in done[:_call("queue_reap", self.p, done, most, timeout_ms)]]

    def cancel(self, tag):
        _call("queue_cancel", self.p, tag)

    def fileno(self):
        return _lib.vp2p_queue_eventfd(self.p)

    def __len__(self):
        return _lib.vp2p_queue_pending(self.p)
