"""Two clients that ask the same thing again and again on one connection; each answer is read to its end.

Each request is one write. HTTP/2 is as much of RFC 9113 and 7541 as that takes: one stream at a time, fields that repeat
are in the dynamic table after the first request, as real clients have them.
"""

import socket

SECONDS = 120  # a gate under callgrind on a busy machine is slow
READ_BYTES = 256 * 1024


class Unexpected(Exception):
    """An answer was not what it had to be."""


def open_client(address, scenario, key):
    return (Http2 if scenario.http2 else Http1)(address, scenario, key)


def connect(address):
    host, port = address.rsplit(":", 1)
    sock = socket.create_connection((host, int(port)), timeout=SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def fields_of(scenario, key):
    """What HubSpot's own SDKs send."""
    fields = [
        ("authorization", f"Bearer {key}"),
        ("user-agent", "hubspot-api-client-nodejs; 13.4.0"),
        ("accept", "application/json, */*"),
        ("accept-encoding", "gzip, deflate, br"),
    ]
    if scenario.body:
        fields += [("content-type", "application/json"), ("content-length", str(len(scenario.body)))]
    return fields


def check(scenario, status, body, origin):
    if status != scenario.status:
        raise Unexpected(f"{scenario.name}: status {status}, not {scenario.status}: {body[:300]!r}")
    expected = scenario.expected(origin)
    if expected is not None and body != expected:
        raise Unexpected(f"{scenario.name}: the body is not the one the upstream sent: {body[:300]!r}")


class Http1:
    """HTTP/1.1, kept alive."""

    def __init__(self, address, scenario, key):
        self.scenario, self.origin = scenario, f"http://{address}".encode()
        self.sock, self.held = connect(address), b""
        fields = [("host", address), *fields_of(scenario, key), ("connection", "keep-alive")]
        lines = [f"{scenario.method} {scenario.target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
        self.request = ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + scenario.body

    def ask(self):
        self.sock.sendall(self.request)
        head = self.through(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        fields = dict(line.lower().split(b": ", 1) for line in head[:-4].split(b"\r\n")[1:])
        if fields.get(b"transfer-encoding") == b"chunked":
            body = b""
            while size := int(self.through(b"\r\n").split(b";")[0], 16):
                body += self.take(size + 2)[:-2]
            self.through(b"\r\n")
        else:
            body = self.take(int(fields[b"content-length"]))
        check(self.scenario, status, body, self.origin)

    def through(self, mark):
        while mark not in self.held:
            self.more()
        end = self.held.index(mark) + len(mark)
        return self.take(end)

    def take(self, count):
        while len(self.held) < count:
            self.more()
        taken, self.held = self.held[:count], self.held[count:]
        return taken

    def more(self):
        more = self.sock.recv(READ_BYTES)
        if not more:
            raise Unexpected(f"{self.scenario.name}: the gate closed the connection")
        self.held += more

    def close(self):
        self.sock.close()


# RFC 9113 §6: types and flags of frames, ids of settings.
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACK, END_STREAM, END_HEADERS = 1, 1, 4
INITIAL_WINDOW_SIZE, LARGEST = 4, 2**31 - 1
DEFAULT_WINDOW = 65_535
# RFC 7541, Appendix A: indexes of the static table.
STATIC = {":authority": 1, ":path": 4, "accept": 19, "accept-encoding": 16, "authorization": 23,
          "content-length": 28, "content-type": 31, "user-agent": 58}
GET, POST, SCHEME_HTTP = 0x82, 0x83, 0x86
FIRST_DYNAMIC = 62
STATUSES = {0x88: 200, 0x8C: 404, 0x8E: 500}  # those that HTTP/2 is asked for, and what may come instead


class Http2:
    """HTTP/2 with prior knowledge."""

    def __init__(self, address, scenario, key):
        self.scenario, self.origin, self.stream = scenario, f"http://{address}".encode(), -1
        self.sock, self.held = connect(address), b""
        settings = INITIAL_WINDOW_SIZE.to_bytes(2, "big") + LARGEST.to_bytes(4, "big")
        # Windows so wide that no request of a run has to widen them.
        wider = (LARGEST - DEFAULT_WINDOW).to_bytes(4, "big")
        self.sock.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, settings) + frame(WINDOW_UPDATE, 0, 0, wider)
        )
        fields = [(":authority", address), *fields_of(scenario, key)]
        begin = bytes([GET if scenario.method == "GET" else POST, SCHEME_HTTP]) + path_field(scenario.target)
        self.first = begin + b"".join(new_field(name, value) for name, value in fields)
        self.again = begin + bytes(0x80 | FIRST_DYNAMIC + place for place in reversed(range(len(fields))))

    def ask(self):
        fields = self.first if self.stream < 0 else self.again
        self.stream += 2
        end = END_HEADERS | (0 if self.scenario.body else END_STREAM)
        request = frame(HEADERS, end, self.stream, fields)
        if self.scenario.body:
            request += frame(DATA, END_STREAM, self.stream, self.scenario.body)
        self.sock.sendall(request)
        status, body, flags = 0, b"", 0
        while not flags & END_STREAM:
            kind, flags, stream, payload = self.next_frame()
            if stream != self.stream:
                flags = 0
            elif kind == HEADERS:
                status = status_of(payload)
            elif kind == DATA:
                body += payload
            elif kind == RST_STREAM:
                raise Unexpected(f"{self.scenario.name}: the gate reset the stream")
            else:
                flags = 0
        check(self.scenario, status, body, self.origin)

    def next_frame(self):
        """The next frame, once those that want an answer have got it."""
        while True:
            head = self.take(9)
            kind, flags = head[3], head[4]
            payload = self.take(int.from_bytes(head[:3], "big"))
            if kind in (SETTINGS, PING) and not flags & ACK:
                self.sock.sendall(frame(kind, ACK, 0, payload if kind == PING else b""))
            elif kind == GOAWAY:
                raise Unexpected(f"{self.scenario.name}: the gate ended the connection: {payload!r}")
            else:
                return kind, flags, int.from_bytes(head[5:9], "big"), payload

    take, more, close = Http1.take, Http1.more, Http1.close


def status_of(fields):
    """`:status` comes first, behind an update of the table's size if there is one."""
    while fields[0] & 0xE0 == 0x20:
        more = fields[0] & 0x1F == 0x1F
        fields = fields[1:]
        while more:
            more, fields = fields[0] & 0x80, fields[1:]
    return STATUSES.get(fields[0], 0)


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def new_field(name, value):
    """RFC 7541 §6.2.1: goes into the dynamic table. Names are known, values are not Huffman-coded."""
    return integer(0x40, 6, STATIC[name]) + integer(0, 7, len(value)) + value.encode("ascii")


def path_field(path):
    """RFC 7541 §6.2.2: stays out of the table."""
    return integer(0, 4, STATIC[":path"]) + integer(0, 7, len(path)) + path.encode("ascii")


def integer(first, prefix, number):
    """RFC 7541 §5.1."""
    most = (1 << prefix) - 1
    if number < most:
        return bytes([first | number])
    number -= most
    rest = b""
    while number >= 128:
        rest += bytes([number % 128 + 128])
        number //= 128
    return bytes([first | most]) + rest + bytes([number])
