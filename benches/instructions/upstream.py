"""HubSpot, as far as the counted requests need it: HTTP/1.1 under TLS 1.3, the same bytes for the same request.

Not the simulator: its answers hold times and numbers that grow, and their sizes can't be chosen. An answer goes out in
one write, so that no run finds half of it there. It runs in a process of its own, which nobody counts:

    python3 upstream.py FOLDER      (certificate and key are in FOLDER; prints the origin)
"""

import pathlib
import socket
import ssl
import subprocess
import sys
import threading

import scenarios

CONNECTIONS = 64
READ_BYTES = 64 * 1024
# What HubSpot's edge puts on every answer; lengths are those of real ones.
HEAD = """HTTP/1.1 {status}
Date: Thu, 26 Nov 2026 12:00:00 GMT
Content-Type: application/json;charset=utf-8
Content-Length: {length}
Connection: keep-alive
CF-Ray: 9a4b1c2d3e4f5a6b-LHR
CF-Cache-Status: DYNAMIC
Strict-Transport-Security: max-age=31536000; includeSubDomains; preload
Vary: origin, Accept-Encoding
Access-Control-Allow-Credentials: false
Server-Timing: hcid;desc="0197f3a1-7c11-7d21-8a55-0242ac120002"
X-Content-Type-Options: nosniff
X-HubSpot-Correlation-Id: 0197f3a1-7c11-7d21-8a55-0242ac120002
X-HubSpot-RateLimit-Interval-Milliseconds: 10000
X-HubSpot-RateLimit-Max: 190
X-HubSpot-RateLimit-Remaining: 189
Server: cloudflare

"""


def make_certificates(folder):
    """An authority and a certificate for 127.0.0.1, good for a day. By `openssl`: Python can make none."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    new = ["openssl", "req", "-x509", *curve, "-nodes", "-days", "1"]
    authority = ["-subj", "/CN=bench authority", "-addext", "basicConstraints=critical,CA:TRUE"]
    leaf = [
        "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
        "-addext", "basicConstraints=critical,CA:FALSE", "-CA", "ca.pem", "-CAkey", "ca.key",
    ]
    for command in (
        [*new, *authority, "-keyout", "ca.key", "-out", "ca.pem"],
        [*new, *leaf, "-keyout", "upstream.key", "-out", "upstream.pem"],
    ):
        subprocess.run(command, check=True, cwd=folder, capture_output=True, text=True)


class Answers:
    """Whole answers, head included, by request line."""

    def __init__(self, origin):
        self.by_request = {
            (scenario.method, scenario.target.split("?")[0]): respond(
                scenario.answer_status, scenario.upstream_answer(origin)
            )
            for scenario in scenarios.SCENARIOS
            if scenario.answer
        }
        identity = scenarios.whole(
            {"userId": 1, "hubId": scenarios.PORTAL, "appId": 1, "scopes": ["crm.objects.contacts.read"]}
        )
        self.by_request["POST", "/oauth/v2/private-apps/get/access-token-info"] = respond("200 OK", identity)
        self.unknown = respond("404 Not Found", b'{"status":"error","category":"OBJECT_NOT_FOUND"}')
        self.stranger = respond("401 Unauthorized", b'{"status":"error","category":"INVALID_AUTHENTICATION"}')

    def to(self, head):
        line, *fields = head.split(b"\r\n")
        method, target, _ = line.decode("ascii").split(" ")
        path = target.split("?")[0]
        # Only with the account's own token: a gate that sends another is not worth counting.
        if not path.startswith("/oauth/") and credential(fields) != b"Bearer " + scenarios.TOKEN.encode("ascii"):
            return self.stranger
        return self.by_request.get((method, path), self.unknown)


def credential(fields):
    named = (field.partition(b":") for field in fields)
    return next((value.strip() for name, _, value in named if name.lower() == b"authorization"), b"")


def respond(status, body):
    head = HEAD.format(status=status, length=len(body)).replace("\n", "\r\n")
    return head.encode("ascii") + body


class Connection:
    """One connection: requests are read whole, and answered one after the other."""

    def __init__(self, sock, context, answers):
        self.sock, self.answers = sock, answers
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def serve(self):
        with self.sock:
            try:
                self.until_done(self.tls.do_handshake)
                held = b""
                while True:
                    head, held = self.read_request(held)
                    self.until_done(lambda: self.tls.write(self.answers.to(head)))
            except (EOFError, OSError):
                pass  # the gate has ended it

    def read_request(self, held):
        """A request's head; its body is read and dropped."""
        while b"\r\n\r\n" not in held:
            held += self.until_done(lambda: self.tls.read(READ_BYTES))
        head, _, held = held.partition(b"\r\n\r\n")
        fields = dict(
            (name.strip().lower(), value.strip())
            for name, _, value in (field.partition(b":") for field in head.split(b"\r\n")[1:])
        )
        length = int(fields.get(b"content-length", b"0"))
        chunked = fields.get(b"transfer-encoding", b"").lower() == b"chunked"
        while len(held) < length or (chunked and not held.endswith(b"0\r\n\r\n")):
            held += self.until_done(lambda: self.tls.read(READ_BYTES))
        return head, held[length:] if not chunked else b""

    def until_done(self, step):
        """Does one step of TLS; what it wrote goes out in one piece."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self.flush()
                more = self.sock.recv(READ_BYTES)
                if not more:
                    raise EOFError from None
                self.incoming.write(more)
                continue
            self.flush()
            if result == b"":
                raise EOFError
            return result

    def flush(self):
        if self.outgoing.pending:
            self.sock.sendall(self.outgoing.read())


def main(folder):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(folder / "upstream.pem", folder / "upstream.key")
    with socket.create_server(("127.0.0.1", 0), backlog=CONNECTIONS) as listener:
        origin = f"https://127.0.0.1:{listener.getsockname()[1]}"
        answers = Answers(origin.encode("ascii"))
        print(origin, flush=True)
        while True:
            sock, _ = listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=Connection(sock, context, answers).serve, daemon=True).start()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
