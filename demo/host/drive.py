# SPDX-License-Identifier: MIT
"""The emulator as a witness: what the drive was told to do, and when the display was reset.

QEMU's own log, in the order of what happened.  Nothing that runs in the guest
has a hand in it.
"""

import dataclasses
import re

# A reset of the bus behind a port is the last of these; QEMU before 8 has qdev_reset.
EVENTS = ["pci_nvme_io_cmd", "pci_nvme_map_addr", "pci_nvme_enqueue_req_completion",
          "resettable_phase_hold_exec", "qdev_reset"]

COMMAND = re.compile(r"pci_nvme_io_cmd cid (\d+) nsid \w+ sqid (\d+)")
ADDRESS = re.compile(r"pci_nvme_map_addr addr 0x([0-9a-f]+) len (\d+)")
COMPLETION = re.compile(r"pci_nvme_enqueue_req_completion cid (\d+) cqid (\d+)")
RESET = re.compile(r"(?:resettable_phase_hold_exec|qdev_reset) obj=\w+\(bochs-display\)")


@dataclasses.dataclass
class Witness:
    """Of the DMA into one range of bus addresses."""
    start: int
    size: int
    bytes: int = 0                                   # asked for
    resets: list = dataclasses.field(default_factory=list)
    # For each reset between two such commands: how many of them were not done.

    def testify(self, log):
        command, in_flight, pending = None, set(), []
        for line in log.splitlines():
            if match := COMMAND.search(line):
                command = match.groups()
            elif match := ADDRESS.search(line):
                if self.start <= int(match.group(1), 16) < self.start + self.size:
                    self.bytes += int(match.group(2))
                    in_flight.add(command)
                    # Resets before the first such command, or after the last, prove nothing.
                    self.resets += pending
                    pending = []
            elif match := COMPLETION.search(line):
                in_flight.discard(match.groups())
            elif self.bytes and RESET.search(line):
                pending.append(len(in_flight))
        return self
