# SPDX-License-Identifier: MIT
"""A page that is partly written by hand: what stands between two markers is replaced.

    <!-- begin NAME -->
    ...
    <!-- end NAME -->
"""

import re

MARKED = re.compile(r"<!-- begin ([a-z-]+) -->\n(.*?)<!-- end \1 -->\n", re.DOTALL)


class PageError(Exception):
    """The page's markers are not those of the parts."""


def fill(text, parts):
    """text with each of the parts in its place; each has one place, and each place a part."""
    names = [found.group(1) for found in MARKED.finditer(text)]
    if len(names) != text.count("<!-- begin ") or len(names) != text.count("<!-- end "):
        raise PageError("a marker has no other that belongs to it")
    if sorted(names) != sorted(parts):
        wrong = sorted(set(names) ^ set(parts)) or sorted({n for n in names if names.count(n) > 1})
        raise PageError(f"marked in the page, or made, but not both, once: {', '.join(wrong)}")
    return MARKED.sub(lambda found: f"<!-- begin {found.group(1)} -->\n{parts[found.group(1)]}\n"
                                    f"<!-- end {found.group(1)} -->\n", text)
