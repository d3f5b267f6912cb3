"""A program's own instructions, counted by valgrind where the processor's counters are not to be had.

The kernel's are not in it, and the program runs some fifty times slower, with one worker and few connections: the
numbers are of user code alone, repeat well, and say nothing of time. What a program does by itself, whether asked or
not, would weigh fifty times as much as well: it is taken off.
"""
import importlib.util
import re
import shutil
import subprocess
import time
from pathlib import Path

from contenders import Beneath

CONNECTIONS = 8
SECONDS = 5
# It has settled when two counts in a row differ by less; a start's own work can take a minute under valgrind.
SETTLED = 0.02
COUNTS_MOST = 15
FILTER = Path(__file__).parent.parent / "instructions" / "kernel.py"


def beneath(folder):
    """What to run a contender beneath; its counts go to `folder`."""
    folder.mkdir()
    folder.chmod(0o777)
    # Fair: no thread waits for seconds while another one runs.
    command = ("valgrind", "--tool=callgrind", "--fair-sched=try", f"--callgrind-out-file={folder}/out", f"--log-file={folder}/log")
    return Beneath(command, _hide_auxiliary_vector())


def is_there():
    return FILTER.exists() and shutil.which("valgrind") is not None and shutil.which("callgrind_control") is not None


def per_request(contender, folder, upstream, load):
    """Instructions of user code for each request that `load(seconds)` makes."""
    before = None
    for _ in range(COUNTS_MOST):
        result = _count(contender, folder, upstream, load)
        now = result["instructions_user"]
        if before is not None and abs(now / before - 1) < SETTLED:
            return result
        before = now
    raise RuntimeError(f"counts do not settle: {before:.0f}, then {now:.0f}")


def _count(contender, folder, upstream, load):
    unasked, unasked_seconds = _instructions(contender.pid, folder, lambda: time.sleep(SECONDS))
    seen = upstream.counts()["requests"]
    asked, asked_seconds = _instructions(contender.pid, folder, lambda: load(SECONDS))
    requests = upstream.counts()["requests"] - seen
    own = unasked / unasked_seconds * asked_seconds
    return {"requests": requests, "instructions_user": (asked - own) / requests}


def _instructions(pid, folder, work):
    """So many while `work()` runs, and how long that took."""
    _control("-z", pid)
    begun = time.monotonic()
    work()
    seconds = time.monotonic() - begun
    _control("-d", pid)
    newest = max(folder.glob("out.*"), key=lambda path: int(path.suffix[1:]))
    total = int(re.search(r"^totals: (\d+)", newest.read_text(encoding="utf-8"), re.MULTILINE).group(1))
    return total, seconds


def _control(word, pid):
    subprocess.run(["callgrind_control", word, str(pid)], capture_output=True, check=True, timeout=120)


def _hide_auxiliary_vector():
    """Valgrind lets a question of new kernels through whose answer is not true beneath it."""
    spec = importlib.util.spec_from_file_location("kernel", FILTER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.hide_auxiliary_vector
