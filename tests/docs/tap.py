# SPDX-License-Identifier: MIT
"""Results in TAP, for the tests of the documentation."""


class Tap:
    def __init__(self):
        self.number = self.failed = 0

    def ok(self, good, title, details=()):
        self.number += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.number} - {title}")
        for line in details:
            print("# " + str(line).rstrip().replace("\n", "\n#   "))

    def none(self, findings, title):
        """Passes if there is nothing to find."""
        found = list(findings)
        self.ok(not found, title, found)

    def done(self):
        print(f"1..{self.number}")
        return 1 if self.failed else 0
