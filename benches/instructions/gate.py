"""A gate in a throw-away home, set up by the command line as a user does it, running under callgrind.

Everything is on as shipped. What the kernel would take from the gate (Landlock, seccomp) valgrind does not know, and
says so to the gate, which runs without: `not_in_force` says which. Those are checks of the kernel's; the gate executes
no instruction more or less for them once it has started.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.request

import kernel
import scenarios

HERE = pathlib.Path(__file__).resolve().parent
START_SECONDS = 300
STOP_SECONDS = 120
STEP_SECONDS = 60
PAUSE_SECONDS = 0.02
# The C library fills and copies more than 2 KiB by one instruction that repeats itself, and callgrind counts each
# byte of it. A processor does 32 at once: as many as the library's own loop, which is taken for all lengths here.
LONG_COPIES = "glibc.cpu.x86_rep_movsb_threshold=1073741824:glibc.cpu.x86_rep_stosb_threshold=1073741824"


class Process:
    """A process of ours; ended when the block is left."""

    def __init__(self, command, stderr, before=None, more=None):
        stderr.parent.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr.open("wb"), text=True,
            env=environment() | (more or {}), preexec_fn=before,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def first_line(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"`{self.process.args[0]}` ended before it was ready")
        return line.strip()


class Upstream(Process):
    """The upstream, in a process of its own."""

    def __init__(self, folder):
        super().__init__([sys.executable, HERE / "upstream.py", folder], folder / "logs" / "upstream")
        self.origin = self.first_line()


class Gate(Process):
    """The gate. Its profile so far is written, and its counters set to zero, whenever `dump` is called."""

    def __init__(self, scopegate, folder, origin):
        self.home = folder / "gate"
        self.config = self.home / "scopegate.yaml"
        self.scopegate = [str(scopegate), "--config", str(self.config)]
        self.keys = set_up(scopegate, folder, self, origin)
        # In a folder that the gate may write: were Landlock in force, others would be closed to valgrind, too.
        self.profile = self.home / "data" / "callgrind"
        self.pipes = folder / "vgdb"
        self.parts = 0
        self.log = folder / "logs" / "gate"
        super().__init__(
            [
                "valgrind", "--quiet", "--tool=callgrind", "--separate-threads=yes", "--dump-instr=yes",
                "--dump-line=no", "--compress-pos=no", "--demangle=no", "--fair-sched=try",
                f"--callgrind-out-file={self.profile}", f"--vgdb-prefix={self.pipes}", *self.scopegate, "run",
            ],
            self.log,
            before=kernel.hide_auxiliary_vector,
            more={"GLIBC_TUNABLES": LONG_COPIES},
        )
        ready = dict(word.split("=", 1) for word in self.first_line().split() if "=" in word)
        self.address = ready["gate"].removeprefix("http://")
        self.admin = ready["admin"]

    def dump(self):
        """Writes what was counted since the last dump; returns the files, one a thread."""
        self.parts += 1
        subprocess.run(
            ["vgdb", f"--vgdb-prefix={self.pipes}", f"--pid={self.process.pid}", "dump"],
            check=True, capture_output=True, timeout=STEP_SECONDS,
        )
        return sorted(self.profile.parent.glob(f"{self.profile.name}.{self.parts}-*"))

    def settle(self):
        """Waits until no request is under way and every record is on the disk."""
        deadline = time.monotonic() + STEP_SECONDS
        while time.monotonic() < deadline:
            with urllib.request.urlopen(f"{self.admin}/metrics", timeout=STEP_SECONDS) as answer:
                text = answer.read().decode()
            under_way = sample(text, "scopegate_inflight_requests")
            if under_way == 0 and sample(text, "scopegate_audit_oldest_unwritten_seconds") == 0:
                return
            time.sleep(PAUSE_SECONDS)
        raise RuntimeError("the gate did not come to rest")

    def not_in_force(self):
        """Measures of hardening that the gate could not take here."""
        events = (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{"))
        return [event["measure"] for event in events if event.get("event") == "gate.not_hardened"]


def sample(metrics, name):
    found = re.search(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", metrics, re.MULTILINE)
    if not found:
        raise RuntimeError(f"/metrics has no {name}")
    return float(found.group(1))


def set_up(scopegate, folder, gate, origin):
    """Makes a home with a connection, policies and keys; returns a key for each policy."""
    run(scopegate, "init", gate.home)
    policies = gate.home / "policies"
    for file in policies.iterdir():
        file.unlink()
    for name, text in scenarios.POLICIES.items():
        (policies / f"{name}.yaml").write_text(text)
    gate.config.write_text(
        "listen: 127.0.0.1:0\nadmin: { listen: 127.0.0.1:0 }\nworkers: 1\n"
        # Deadlines of a gate that is fifty times slower than any: no other setting is changed.
        "store: { max_staleness: 1h }\naudit: { max_wait: 1m }\n"
        f"upstream: {{ url: '{origin}', ca: {json.dumps(str(folder / 'ca.pem'))} }}\n"
    )
    token = folder / "token"
    token.write_text(scenarios.TOKEN)
    token.chmod(0o600)
    run(*gate.scopegate, "connection", "add", scenarios.CONNECTION, "--portal", scenarios.PORTAL, "--token-file", token)
    create = [*gate.scopegate, "key", "create", "--connection", scenarios.CONNECTION, "--integration"]
    keys = {name: run(*create, name).strip() for name in scenarios.POLICIES}
    run(*create, next(iter(keys)), "--count", scenarios.OTHER_KEYS)
    return keys


def run(*command):
    command = [str(word) for word in command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=STEP_SECONDS, env=environment())
    if done.returncode != 0:
        raise RuntimeError(f"`{' '.join(command)}` exited {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def environment():
    """Without settings of whoever runs this."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SCOPEGATE_")}
