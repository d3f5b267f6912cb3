"""Reads what callgrind writes: instructions by address, and calls with what they cost.

The format is valgrind's (callgrind manual, "Callgrind Format Specification"), as far as the gate is run with:
`--dump-instr=yes --dump-line=no --compress-pos=no`, one event. A function is its object and its symbol.
"""

import collections
import re

NAME = re.compile(r"\((\d+)\)(?: (.*))?$")


class Profile:
    """Cost by place. Places are (function, address); a call is (caller, address, callee)."""

    def __init__(self):
        self.own = collections.Counter()
        self.calls = collections.Counter()  # what was spent inside, by call
        self.times = collections.Counter()  # how often, by call

    @property
    def total(self):
        return sum(self.own.values())

    def minus(self, other):
        """What there is more than in `other`, which is part of it: places whose cost did not grow drop out."""
        rest = Profile()
        for name in ("own", "calls", "times"):
            mine, theirs = getattr(self, name), getattr(other, name)
            differences = {key: mine[key] - theirs[key] for key in mine.keys() | theirs.keys()}
            getattr(rest, name).update({key: count for key, count in differences.items() if count})
        return rest

    def over(self, requests):
        """A request's share."""
        share = Profile()
        for name in ("own", "calls", "times"):
            counts = getattr(self, name)
            getattr(share, name).update({key: count / requests for key, count in counts.items()})
        return share



def read(path):
    """One thread's profile."""
    profile = Profile()
    names = {"ob": {}, "fn": {}}
    position = {"ob": "", "fn": "", "cob": None, "cfn": ""}
    call = None
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            line = line.rstrip("\n")
            if not line or line[0] == "#":
                continue
            if line[0].isdigit():
                address, cost = line.split()[:2]
                place = (position["ob"], position["fn"]), int(address, 0)
                if call is None:
                    profile.own[place] += int(cost)
                else:
                    edge = (*place, call[0])
                    profile.calls[edge] += int(cost)
                    profile.times[edge] += call[1]
                    call = None
                continue
            key, _, value = line.partition("=")
            if key in ("fn", "ob", "cfn", "cob"):
                position[key] = resolve(names[key[-2:]], value)
                if key == "fn":
                    position["cob"] = None
            elif key == "calls":
                target = position["ob"] if position["cob"] is None else position["cob"]
                call = ((target, position["cfn"]), int(value.split()[0]))
                position["cob"] = None
    return profile


def resolve(known, text):
    """A name, which is spelled out the first time and a number from then on."""
    number, name = NAME.match(text).groups()
    if name is not None:
        known[number] = name
    return known[number]
