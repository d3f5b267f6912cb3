"""What is compared: each contender is started by `running(…)` of its module and gives a `Contender`."""
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import processes

WORKERS = 2


@dataclass(frozen=True)
class Beneath:
    """A program that a contender runs beneath, valgrind: with one worker then, so that there is one process to ask."""

    command: tuple = ()
    prepare: Callable[[], None] = lambda: None

    def __bool__(self):
        return bool(self.command)


NOTHING = Beneath()


@dataclass
class Contender:
    name: str
    pid: int
    port: int
    # Where HTTP/2 in clear text is spoken.
    h2_port: int
    folder: Path
    # What must come down of a body of the upstream's.
    body: Callable[[bytes], bytes] = field(default=lambda body: body)
    # Called after each load: what an operator would clear away.
    tidy: Callable[[], None] = field(default=lambda: None)

    # What it says itself of calls that it refused.
    complaints: Callable[[], str] = field(default=lambda: "")

    def pids(self):
        return processes.tree(self.pid)
