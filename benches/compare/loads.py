"""What is sent, and by what: wrk and h2load as fast as answers come, `rig pace` at a fixed rate, `rig idle`."""
import contextlib
import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import processes

CONNECTIONS = 64
SLACK_SECONDS = 60
HERE = Path(__file__).parent

SEARCH = {
    "filterGroups": [{"filters": [{"propertyName": "email", "operator": "EQ", "value": "contact-01001@example.com"}]}],
    "properties": ["email", "firstname", "lastname"],
    "limit": 10,
}
CREATE = {"properties": {"email": "contact-01001@example.com", "firstname": "Ada", "lastname": "Lovelace"}}


@dataclass(frozen=True)
class Request:
    """One kind of request and the one status that is right."""

    name: str
    method: str
    path: str
    body: str | None = None
    status: int = 200


GET = Request("GET, 1 KB", "GET", "/crm/v3/objects/contacts/1001")
LIST = Request("list, 20 KB", "GET", "/crm/v3/objects/contacts?limit=10")
LONG_LIST = Request("list, 200 KB", "GET", "/crm/v3/objects/contacts?limit=100")
FILE = Request("file, 200 KB", "GET", "/files/v3/files/1001/download")
FIND = Request("search", "POST", "/crm/v3/objects/contacts/search", json.dumps(SEARCH))
WRITE = Request("create", "POST", "/crm/v3/objects/contacts", json.dumps(CREATE), 201)
CHANGE = Request("update", "PATCH", "/crm/v3/objects/contacts/1001", json.dumps(CREATE))
DELETE = Request("delete", "DELETE", "/crm/v3/objects/contacts/1001", None, 204)
REQUESTS = [GET, LIST, LONG_LIST, FILE, FIND, WRITE, CHANGE, DELETE]


class Loads:
    """Makes loads; every answer but the right one is an error."""

    def __init__(self, rig, folder, keys):
        folder.mkdir()
        self.rig = rig
        self.folder = folder
        self.keys = keys
        self.keys_file = folder / "keys"
        _write(self.keys_file, "".join(f"{key}\n" for key in keys))
        for request in REQUESTS:
            if request.body:
                _write(self.body_file(request), request.body)

    def body_file(self, request):
        return self.folder / f"{request.name}.json"

    def closed(self, port, request, seconds, connections=CONNECTIONS, scheme="http"):
        """wrk: each connection asks as soon as it is answered."""
        command = ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
        command += ["-s", HERE / "random_keys.lua", f"{scheme}://127.0.0.1:{port}"]
        command += ["--", self.keys_file, request.method, request.path]
        command += [self.body_file(request)] if request.body else []
        said = _output(command, seconds)
        line = next((line for line in said.splitlines() if line.startswith("JSON ")), None)
        if line is None:
            raise RuntimeError(f"wrk said no numbers: {said}")
        result = json.loads(line.removeprefix("JSON "))
        if result["errors"]:
            raise RuntimeError(f"wrk counts {result['errors']} answers that are not right: {said}")
        return result

    def h2(self, port, request, seconds, scheme="http"):
        """h2load: 16 connections of four streams each, with one key."""
        command = ["h2load", "-t1", "-c16", "-m4", f"-D{seconds}", "-H", f"authorization: Bearer {self.keys[0]}"]
        said = _output([*command, f"{scheme}://127.0.0.1:{port}{request.path}"], seconds)
        codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", said)
        good, *bad = (int(number) for number in codes.groups())
        failed = int(re.search(r"(\d+) failed", said).group(1))
        if not good or any(bad) or failed:
            raise RuntimeError(f"h2load counts answers that are not right: {said}")
        return {"requests": good, "seconds": seconds}

    def paced(self, port, request, rate, seconds, keys=None):
        """rig pace: so many requests a second on 32 connections, timed from when each was due."""
        command = [self.rig, "pace", *self._target(port, request, keys)]
        return json.loads(_output([*command, "--rate", rate, "--seconds", seconds], seconds))

    @contextlib.contextmanager
    def idle(self, port, request, connections):
        """Holds connections that have served a request each, for as long as the block runs."""
        command = [self.rig, "idle", *self._target(port, request), "--connections", connections]
        log = self.folder / "idle.log"
        with processes.running(command, log, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            processes.ready_line(process, "ready", log)
            yield
            process.stdin.close()
            if process.wait(timeout=SLACK_SECONDS) != 0:
                raise RuntimeError(f"idle connections did not stay: {log.read_text().strip()}")

    def _target(self, port, request, keys=None):
        words = ["--target", f"127.0.0.1:{port}", "--keys", keys or self.keys_file, "--path", request.path]
        words += ["--method", request.method, "--status", request.status]
        return words + (["--body", self.body_file(request)] if request.body else [])


def _output(command, seconds):
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=seconds + SLACK_SECONDS)
    if done.returncode != 0:
        raise RuntimeError(f"{words[0]} failed: {done.stdout}{done.stderr}")
    return done.stdout


def _write(path, text):
    path.write_text(text, encoding="ascii")
    os.chmod(path, 0o600)
