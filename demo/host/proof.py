# SPDX-License-Identifier: MIT
"""What the run has proven, by three witnesses: the guest, the screen, the emulated drive."""

import pathlib

import drive
import png

TOP = pathlib.Path(__file__).resolve().parents[2]
SCREENSHOTS = {"first": TOP / "build" / "demo.png", "second": TOP / "build" / "demo-after-reset.png"}


def grouped(number):
    return f"{number:,}".replace(",", " ")


def _screen(name, folder, pictures):
    """Compare the screenshot with what was painted, and make it a PNG."""
    screenshot = folder / f"{name}.ppm"
    if not screenshot.exists():
        return False, f"{name} picture: no screenshot"
    width, height, rgb = png.read_ppm(screenshot)
    png.write_rgb(SCREENSHOTS[name], width, height, rgb)
    painted = png.rgb_of_xrgb((pictures / "files" / f"{name}.xrgb").read_bytes())
    wrong, pixels = grouped(png.differing_pixels(rgb, painted)), grouped(width * height)
    return rgb == painted, f"{name} picture: {wrong} of {pixels} pixels differ from the painted one"


class _Guest:
    """The guest's test results and facts; what is missing proves nothing."""

    def __init__(self, verdict, facts):
        self.passed = [n.name for r in verdict.results for n in r.nested if n.ok]
        self.facts = facts

    def proven(self, *parts):
        return all(any(part in name for name in self.passed) for part in parts)

    def fact(self, name):
        return self.facts.get(name, -1)

    def text(self, name):
        return grouped(self.facts[name]) if name in self.facts else "?"


def _kernel_is_well(verdict):
    """init's own checks: the driver's unloading and the kernel's log, from first to last."""
    good = [r.name for r in verdict.results if r.ok]
    return all(name in good for name in ("set-up", "unload", "kernel log"))


def judge(outcome, facts, emulator_log, pictures):
    """(proven, label, text) of each thing there was to prove."""
    g = _Guest(outcome.verdict, facts)
    dma = drive.Witness(g.fact("bar_address"), g.fact("bar_size")).testify(emulator_log)
    late = sum(dma.resets)

    yield g.fact("p2p_bytes") > 0, "moved peer-to-peer", \
        f"{g.text('p2p_bytes')} bytes, by {g.text('reads')} plain read() calls"
    yield dma.bytes >= g.fact("p2p_bytes") > 0, "the drive's account", \
        f"{grouped(dma.bytes)} bytes of DMA, to addresses in the display's BAR 0"
    yield g.fact("cpu_bytes") == 0 and g.proven("page cache"), "copied by the CPU", \
        f"{g.text('cpu_bytes')} bytes: so much of the files is in the page cache"
    yield g.proven("first picture", "second picture", "data is right"), "video memory", \
        "equals the files, read back by the CPU through the ordinary mapping"
    for name in SCREENSHOTS:
        same, text = _screen(name, outcome.folder, pictures)
        yield same, "screen", text
    yield g.fact("pins_at_reset") == 0 and g.proven("when the reset was asked", "no page was pinned"), \
        "pins at the reset", f"{g.text('pins_at_reset')}, of {g.text('pins_before')} when it was asked for"
    yield bool(dma.resets) and not late, "DMA at the reset", \
        f"{late} of the drive's commands were still in flight" if dma.resets else "the display was not reset"
    yield g.proven("raced"), "racing reads", "failed cleanly, and worked when they were repeated"
    yield g.proven("only waited"), "touching thread", "waited, no more"
    yield _kernel_is_well(outcome.verdict), "kernel", \
        "nothing to complain about in its log; the driver is unloaded"
