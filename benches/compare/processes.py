"""Processes of a run: started so that none outlives it, and what /proc says of a tree of them."""
import contextlib
import ctypes
import os
import resource
import signal
import socket
import subprocess
import time

START_SECONDS = 120
END_SECONDS = 40
FILES_MOST = 65_536
PR_SET_PDEATHSIG = 1


def files():
    """How many files a process may open, as far as this machine lets it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return FILES_MOST if hard == resource.RLIM_INFINITY else min(FILES_MOST, hard)


def _in_child():
    """Ends with the driver, whatever ends that; may open as many files as there are connections."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files(), hard))


@contextlib.contextmanager
def running(command, log, prepare=lambda: None, **more):
    """The process, until the block ends. What it says on stderr goes to the file `log`. `prepare` is called in the
    child, before it becomes the program."""

    def in_child():
        _in_child()
        prepare()

    with open(log, "ab") as file:
        process = subprocess.Popen([str(word) for word in command], stderr=file, text=True, preexec_fn=in_child, **more)
    try:
        yield process
    finally:
        end(process)


def end(process):
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(timeout=END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=END_SECONDS)


def ready_line(process, word, log):
    """The first line of stdout, which says that it serves."""
    line = process.stdout.readline()
    if not line.startswith(word):
        raise RuntimeError(f"{process.args[0]} did not start: {line!r}; see {log}")
    return dict(pair.split("=", 1) for pair in line.split()[1:] if "=" in pair)


def wait_for_port(process, port, log):
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args[0]} does not listen on {port}; see {log}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tree(pid):
    """The process and all below it."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{task}/children", encoding="ascii") as file:
                    found.extend(int(word) for word in file.read().split())
    return found


def cpu_seconds(pids):
    """CPU of all threads they ever had, by the kernel's own clock of a process, which counts nanoseconds."""
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def resident_kib(pids):
    """What they hold in memory; a page that several share counts once, in parts."""
    return sum(_field(f"/proc/{pid}/smaps_rollup", "Pss:") for pid in pids)


def peak_kib(pids):
    """The most each ever held; what they share counts once for each."""
    return sum(_field(f"/proc/{pid}/status", "VmHWM:") for pid in pids)


def _field(path, name):
    with open(path, encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name))
