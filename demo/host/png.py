# SPDX-License-Identifier: MIT
"""Pictures on the host: reading a screenshot, comparing it, writing it as PNG."""

import re
import struct
import zlib


def read_ppm(path):
    """Width, height and RGB bytes of what QEMU's screendump has written."""
    data = path.read_bytes()
    head = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s", data)
    return int(head.group(1)), int(head.group(2)), data[head.end():]


def rgb_of_xrgb(data):
    """The RGB bytes of a picture in a display controller's format."""
    rgb = bytearray(len(data) // 4 * 3)
    for channel in range(3):
        rgb[channel::3] = data[2 - channel::4]
    return bytes(rgb)


def differing_pixels(a, b):
    if len(a) != len(b):
        return max(len(a), len(b)) // 3
    if a == b:
        return 0
    return sum(a[i:i + 3] != b[i:i + 3] for i in range(0, len(a), 3))


def _minus_row_above(rgb, stride):
    """Rows as PNG wants them: filter 2, each byte less the one above it."""
    above = bytes(stride)
    for start in range(0, len(rgb), stride):
        row = rgb[start:start + stride]
        yield b"\2" + bytes((x - y) & 255 for x, y in zip(row, above))
        above = row


def write(path, width, height, rows, level=6):
    """A PNG file of filtered rows."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    path.write_bytes(b"\x89PNG\r\n\x1a\n"
                     + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(b"".join(rows), level))
                     + chunk(b"IEND", b""))


def write_rgb(path, width, height, rgb):
    write(path, width, height, _minus_row_above(rgb, 3 * width))
