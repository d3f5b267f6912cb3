"""What source an instruction comes from: every function that was inlined there, innermost first, with file and line.

By `addr2line` of the binutils, in one go for many addresses. Addresses are the object's own, as callgrind writes them:
where it was loaded does not matter.
"""

import functools
import re
import subprocess
from typing import NamedTuple

CRATE = re.compile(r".*/registry/src/[^/]+/(.+?)-(\d+\.\d+[^/]*)/(.*)")
STANDARD = re.compile(r".*/library/((?:std|core|alloc|backtrace|stdarch|compiler-builtins|portable-simd)/.*)")


class Frame(NamedTuple):
    """A function at a line of a file. Files: `src/…` of ours, `CRATE/src/…`, `std/src/…`, else as found."""

    function: str
    file: str
    line: int


class Places:
    """The frames at places of one object; places of other objects (the C library) have none."""

    def __init__(self, path, root):
        self.path, self.root = str(path), root
        self.known = {}

    def look_up(self, places):
        """Asks for many at once; what was asked before is known."""
        addresses = {address for (name, _), address in places if name == self.path}
        wanted = sorted(addresses - self.known.keys())
        if not wanted:
            return
        asked = "".join(f"{address:#x}\n" for address in wanted)
        told = subprocess.run(
            ["addr2line", "--inlines", "--functions", "--addresses", f"--exe={self.path}"],
            input=asked, capture_output=True, text=True, check=True, timeout=600,
        ).stdout.splitlines()
        frames, lines, answers = None, iter(told), iter(wanted)
        for line in lines:
            if line.startswith("0x"):
                frames = self.known[next(answers)] = []
                continue
            file, _, number = next(lines).split(" (discriminator")[0].rpartition(":")
            frames.append(Frame(line, self.short(file), int(number) if number.isdigit() else 0))

    def frames(self, place):
        return self.known.get(place[1], []) if place[0][0] == self.path else []

    @functools.lru_cache(maxsize=None)
    def short(self, file):
        if found := CRATE.match(file):
            return f"{found[1]}/{found[3]}"
        if found := STANDARD.match(file):
            return found[1]
        # Wherever it was built: a file of that name is here, too.
        own = "src/" + file.rpartition("/src/")[2]
        return own if "/src/" in file and (self.root / own).exists() else file
