"""Instructions and system calls of a process tree while a load runs, by perf, as far as this machine has them.

The kernel counts system calls wherever root asks; instructions need a processor whose counters are there, which many
virtual machines lack. `callgrind.py` counts a program's own instructions then.
"""
import contextlib
import os
import signal
import subprocess

USER, KERNEL, CALLS = "instructions:u", "instructions:k", "raw_syscalls:sys_enter"
WAIT_SECONDS = 30


class Counters:
    def __init__(self, folder, wanted=(USER, KERNEL, CALLS)):
        folder.mkdir()
        self.folder = folder
        self.events = [event for event in wanted if _is_there(event)]

    @property
    def has_instructions(self):
        return USER in self.events and KERNEL in self.events

    def counted(self, pids, load):
        """Runs `load()`; what it gives, and how often each event happened in the processes meanwhile."""
        control, answers, out = (self.folder / name for name in ("control", "answers", "out"))
        for path in (control, answers):
            path.unlink(missing_ok=True)
            os.mkfifo(path, 0o600)
        command = ["perf", "stat", "-x;", "-o", out, "-D-1", "--control", f"fifo:{control},{answers}"]
        command += ["-e", ",".join(self.events), "-p", ",".join(map(str, pids))]
        perf = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            # Both ends are opened for both directions: no opening waits for the other.
            with _open(control) as to, _open(answers) as back:
                _say(to, back, b"enable\n")
                given = load()
                _say(to, back, b"disable\n")
        finally:
            perf.send_signal(signal.SIGINT)
            perf.wait(timeout=WAIT_SECONDS)
        return given, _numbers(out)


@contextlib.contextmanager
def _open(path):
    descriptor = os.open(path, os.O_RDWR)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _say(to, back, word):
    os.write(to, word)
    previous = signal.signal(signal.SIGALRM, _late)
    signal.alarm(WAIT_SECONDS)
    try:
        said = os.read(back, 16)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
    if not said.startswith(b"ack"):
        raise RuntimeError(f"perf answers {said!r}")


def _late(*_):
    raise TimeoutError("perf does not answer")


def _numbers(path):
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        cells = line.split(";")
        if len(cells) > 3 and cells[0].isdigit():
            found[cells[2]] = int(cells[0])
    return found


def _is_there(event):
    try:
        done = subprocess.run(
            ["perf", "stat", "-x;", "-e", event, "true"], capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return any(line.split(";")[0].isdigit() for line in done.stderr.splitlines())
