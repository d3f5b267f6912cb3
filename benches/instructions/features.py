"""Which feature of the gate an instruction is spent for.

A place belongs to the innermost function inlined there that features.tsv knows. Code that serves everybody (the
standard library, byte buffers, header maps, …) belongs to whoever called it: its cost flows up the calls, to each
caller in proportion to what was spent on its behalf.
"""

import collections
import pathlib

TABLE = pathlib.Path(__file__).resolve().parent / "features.tsv"
CALLER = "caller"
UNATTRIBUTED = "unattributed"
# What goes round in circles of recursion loses some at each turn; so little is not followed further.
LEAST = 0.001


class Table:
    """The rows of features.tsv."""

    def __init__(self, text):
        self.rows = {"file": {}, "symbol": {}}
        for line in text.splitlines():
            if line and not line.startswith("#") and not line.startswith("kind\t"):
                kind, beginning, feature = line.split("\t")
                if beginning in self.rows[kind]:
                    raise ValueError(f"features.tsv names `{beginning}` twice")
                self.rows[kind][beginning] = feature

    def feature(self, kind, name):
        """The longest beginning counts; `None`: no row fits."""
        rows = self.rows[kind]
        fitting = [beginning for beginning in rows if name.startswith(beginning)]
        return rows[max(fitting, key=len)] if fitting else None


def read_table():
    return Table(TABLE.read_text(encoding="utf-8"))


def mistakes(table, root):
    """Files of the gate that no row names, and rows that name none."""
    files = [str(path.relative_to(root)) for path in sorted((root / "src").rglob("*.rs"))]
    unnamed = [file for file in files if table.feature("file", file) is None]
    rows = [row for row in table.rows["file"] if row.startswith("src/")]
    empty = [row for row in rows if not any(is_of(file, row) for file in files)]
    return [
        *(f"benches/instructions/features.tsv: `{file}` belongs to no feature" for file in unnamed),
        *(f"benches/instructions/features.tsv: there is no `{row}`" for row in empty),
    ]


def is_of(file, row):
    return file == row or row.endswith("/") and file.startswith(row)


class Attribution:
    """Sums a profile up by what `judge` says of places.

    `judge(place)` returns a place's owner, or `caller` where that is to be asked of whoever called.
    """

    def __init__(self, profile, judge):
        self.profile, self.judge = profile, judge
        self.callers = collections.defaultdict(list)
        for (function, address, callee), cost in profile.calls.items():
            if cost > 0 and callee != function:
                self.callers[callee].append(((function, address), cost))
        self.sums = collections.Counter()

    def sum_up(self):
        waiting = collections.Counter()
        for place, cost in self.profile.own.items():
            self.settle(place, cost, waiting)
        while waiting:
            function, cost = waiting.popitem()
            callers = self.callers.get(function)
            whole = sum(spent for _, spent in callers) if callers else 0
            if not callers or abs(cost) < LEAST:
                self.sums[UNATTRIBUTED] += cost
                continue
            for place, spent in callers:
                self.settle(place, cost * spent / whole, waiting)
        return self.sums

    def settle(self, place, cost, waiting):
        owner = self.judge(place)
        if owner == CALLER:
            waiting[place[0]] += cost
        else:
            self.sums[owner] += cost


class ByFeature:
    """Judges places by features.tsv."""

    def __init__(self, table, frames):
        self.table, self.frames = table, frames
        self.known = {}

    def __call__(self, place):
        found = self.known.get(place)
        if found is None:
            found = self.known[place] = self.look(place)
        return found

    def look(self, place):
        (_, symbol), _ = place
        if feature := self.table.feature("symbol", symbol):
            return feature
        for frame in self.frames(place):
            feature = self.table.feature("file", frame.file) or CALLER
            if feature != CALLER:
                return feature
        return CALLER


class ByLine:
    """Judges places by the innermost line of the gate's own that stands behind them."""

    def __init__(self, frames):
        self.frames = frames

    def __call__(self, place):
        own = next((frame for frame in self.frames(place) if frame.file.startswith("src/")), None)
        return f"{own.file}:{own.line}" if own else CALLER
