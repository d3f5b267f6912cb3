"""scopegate as it is run: 1,000 keys of the command line's, 100 policies, audit to disk, metrics, hardening, and the
settings that it comes with, but for one.

`audit.queue_records` is what somebody with 50,000 requests a second would raise: every request leaves two records, and
one integration may fill a quarter of a worker's queue. The default of 8,192 is full when the disk stands still for some
70 ms, and calls are refused then.
"""
import contextlib
import http.client
import os
import subprocess
from urllib.parse import urlsplit

import processes
from contenders import NOTHING, WORKERS, Contender
from rules import RULES
from upstream import PORTAL

KEYS = 1_000
POLICIES = 100

CONFIG = """\
listen: 127.0.0.1:0
admin: {{ listen: 127.0.0.1:0 }}
upstream: {{ url: "{url}", ca: {ca} }}
workers: {workers}
audit: {{ queue_records: 131072, max_wait: {audit_wait} }}
store: {{ url: sqlite:data/scopegate.db, max_staleness: {staleness} }}
shutdown: {{ delay: 0s, grace: 5s }}
hardening: {{ sandbox: {sandbox} }}
{more}"""

POLICY = """\
integration: {name}
description: What the others' fifty rules say.
owner: bench@example.com
connections: [acme]
allow:
{allow}deny:
  - effects: [irreversible]
"""


def make_home(scopegate, folder, upstream):
    """A folder with configuration, policies, store and keys. The keys are returned, and one that looks like them and
    opens nothing."""
    run(scopegate, "init", folder)
    policies = folder / "policies"
    for path in policies.iterdir():
        path.unlink()
    allow = "".join(map(rule, RULES))
    for name in ["compare", *(f"other-{number:02}" for number in range(1, POLICIES))]:
        (policies / f"{name}.yaml").write_text(POLICY.format(name=name, allow=allow), encoding="ascii")
    write_config(folder, upstream)
    of = [scopegate, "--config", folder / "scopegate.yaml"]
    run(*of, "connection", "add", "acme", "--portal", PORTAL, "--token-file", upstream.token_file)
    keys, [stranger] = (make_keys(scopegate, folder, "compare", count) for count in (KEYS, 1))
    run(*of, "key", "revoke", stranger[len("sg_l_") :][:12])
    return keys, stranger


def make_keys(scopegate, folder, integration, count):
    of = [scopegate, "--config", folder / "scopegate.yaml"]
    return run(*of, "key", "create", "--integration", integration, "--connection", "acme", "--count", count).split()


def rule(rule):
    objects = f", objects: [{rule.objects}]" if rule.objects else ""
    return f"  - {{ operation: {rule.operation}{objects} }}\n"


def write_config(folder, upstream, beneath=NOTHING, is_slowed=False, more=""):
    """`is_slowed`: it counts its own steps. Like valgrind it then asks the kernel for what the sandbox does not let
    through, and its threads wait for seconds."""
    is_slowed = is_slowed or bool(beneath)
    text = CONFIG.format(
        url=upstream.url,
        ca=upstream.ca,
        workers=1 if beneath else WORKERS,
        audit_wait="60s" if is_slowed else "2s",
        staleness="10m" if is_slowed else "10s",
        sandbox="off" if is_slowed else "on",
        more=more,
    )
    (folder / "scopegate.yaml").write_text(text, encoding="ascii")


@contextlib.contextmanager
def running(scopegate, folder, upstream, name="scopegate", beneath=NOTHING, is_slowed=False, more=""):
    """On a home that `make_home` made."""
    write_config(folder, upstream, beneath, is_slowed, more)
    log = folder / "log"
    command = [*beneath.command, scopegate, "--config", folder / "scopegate.yaml", "run"]
    with processes.running(command, log, beneath.prepare, stdout=subprocess.PIPE) as process:
        ready = processes.ready_line(process, "ready", log)
        port = urlsplit(ready["gate"]).port
        # Links that lead to the upstream lead to the gate afterwards.
        there, here = (b'"link":"' + url.encode() for url in (upstream.url, f"http://127.0.0.1:{port}"))
        yield Contender(
            name,
            process.pid,
            port,
            port,
            folder,
            body=lambda body: body.replace(there, here),
            tidy=lambda: remove_closed_audit_files(folder),
            complaints=lambda: refusals(urlsplit(ready["admin"]).netloc),
        )


def refusals(admin):
    """Its counters of what was not let through or failed, but for those that stand at nought."""
    with contextlib.closing(http.client.HTTPConnection(admin, timeout=10)) as connection:
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
    words = ("refus", "error", "denied", "reason", "lost", "retries")
    return "\n".join(line for line in lines if any(word in line for word in words) and line[:1] != "#" and line[-2:] != " 0")


def remove_closed_audit_files(folder):
    """Keeping audit files is the operator's: a run of some minutes would fill a disk."""
    files = sorted((folder / "data" / "audit").glob("*/*.jsonl"), key=lambda path: path.stat().st_mtime)
    for path in files[:-1]:
        path.unlink()


def run(*command):
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, "RUST_LOG": "warn"})
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words[:4])} …: {done.stderr.strip()}")
    return done.stdout
