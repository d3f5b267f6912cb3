"""HubSpot's side: `rig upstream`, and what it saw."""
import contextlib
import http.client
import json
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import processes

TOKEN = "pat-na1-5d2c8a1e-0f64-4b7b-9c1e-7a3f2b6d8e90"
PORTAL = 123_456


@dataclass
class Upstream:
    port: int
    clear_port: int
    control: str
    ca: Path
    token_file: Path

    @property
    def url(self):
        return f"https://localhost:{self.port}"

    def counts(self):
        return json.loads(self._control("GET", "/counts"))

    @contextlib.contextmanager
    def heads(self):
        """A function that gives the heads of the requests that came since the block began."""
        self._control("POST", "/keep")
        try:
            yield lambda: [head for head in self._control("GET", "/heads").decode("latin-1").split("\r\n\r\n") if head]
        finally:
            self._control("POST", "/forget")

    def ask(self, method, path, body=None):
        """The answer to a request that carries the token, past all gates."""
        context = ssl.create_default_context(cafile=str(self.ca))
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=30, context=context)
        with contextlib.closing(connection):
            connection.request(method, path, body, {"Authorization": f"Bearer {TOKEN}"})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def _control(self, method, path):
        with contextlib.closing(http.client.HTTPConnection(self.control, timeout=10)) as connection:
            connection.request(method, path)
            return connection.getresponse().read()


@contextlib.contextmanager
def running(rig, folder):
    folder.mkdir()
    token_file = folder / "token"
    token_file.write_text(TOKEN, encoding="ascii")
    os.chmod(token_file, 0o600)
    command = [rig, "upstream", "--dir", folder, "--token-file", token_file]
    log = folder / "log"
    with processes.running(command, log, stdout=-1) as process:
        ready = processes.ready_line(process, "ready", log)
        yield Upstream(
            urlsplit(ready["upstream"]).port,
            urlsplit(ready["clear"]).port,
            urlsplit(ready["control"]).netloc,
            folder / "ca.pem",
            token_file,
        )
