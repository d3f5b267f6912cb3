"""Whether a contender does the job: looked at before anything of it is measured, in every run.

Every allowed call comes back byte for byte (links turned to the gate where that is the gate's work), what is denied is
403, what has no known key is 401; neither reaches the upstream. Upstream sees the token and no key.
"""
import contextlib
import http.client
import subprocess

from loads import GET, REQUESTS
from upstream import TOKEN

# A type that no rule names, an operation that none names, a path that goes on after one that is named.
DENIED = [
    ("GET", "/crm/v3/objects/notes/1001"),
    ("POST", "/crm/v3/objects/contacts/batch/read"),
    ("GET", "/crm/v3/owners/1"),
    ("GET", "/crm/v3/objects/contacts/1001/associations/companies"),
]
FOREIGN = "pat-na1-00000000-0000-0000-0000-000000000000"


class Wrong(Exception):
    """It does not do the job."""


def check(contender, upstream, keys, stranger):
    """`stranger`: a key like the others, which opens nothing."""
    for request in REQUESTS:
        expected(upstream, request)
    before = upstream.counts()
    with upstream.heads() as heads:
        for request in REQUESTS:
            for key in (keys[0], keys[-1]):
                allowed(contender, upstream, request, key)
        over_http2(contender, upstream, keys[0])
        seen = heads()
    if len(seen) != 2 * len(REQUESTS) + 1:
        raise Wrong(f"{len(seen)} requests arrived upstream")
    for head in seen:
        has_token(head, keys)
    with upstream.heads() as heads:
        refused(contender, keys[0], stranger)
        if heads():
            raise Wrong(f"a refused call reached the upstream: {heads()[0]!r}")
    after = upstream.counts()
    for word in ("refused", "leaked", "unknown"):
        if after[word] != before[word]:
            raise Wrong(f"the upstream counts {after[word] - before[word]} {word} requests")


def allowed(contender, upstream, request, key):
    status, body = ask(contender.port, request.method, request.path, key, request.body)
    if status != request.status:
        raise Wrong(f"{request.name}: answered {status}, not {request.status}: {body[:200]!r}")
    if body != contender.body(expected(upstream, request)):
        raise Wrong(f"{request.name}: the body is not the upstream's")


_expected = {}


def expected(upstream, request):
    """The upstream's own body, asked for once."""
    known = (upstream.port, request)
    if known not in _expected:
        status, body = upstream.ask(request.method, request.path, request.body)
        if status != request.status:
            raise RuntimeError(f"the upstream itself answers {status} to {request.name}")
        _expected[known] = body
    return _expected[known]


def over_http2(contender, upstream, key):
    url = f"http://127.0.0.1:{contender.h2_port}{GET.path}"
    command = ["nghttp", "--timeout=30", "-H", f"authorization: Bearer {key}", url]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    if done.stdout != contender.body(expected(upstream, GET)):
        raise Wrong(f"HTTP/2: the body is not the upstream's: {done.stdout[:200]!r} {done.stderr[:200]!r}")


def refused(contender, known, stranger):
    for method, path in DENIED:
        status, _ = ask(contender.port, method, path, known)
        if status != 403:
            raise Wrong(f"{method} {path} is not allowed, and is answered {status}")
    for what, key in (("a key that opens nothing", stranger), ("a token of HubSpot's", FOREIGN), ("no key", None)):
        status, _ = ask(contender.port, GET.method, GET.path, key)
        if status != 401:
            raise Wrong(f"{what} is answered {status}")


def has_token(head, keys):
    fields = [line.split(":", 1) for line in head.split("\r\n")[1:]]
    credentials = [value.strip() for name, value in fields if name.lower() == "authorization"]
    if credentials != [f"Bearer {TOKEN}"]:
        raise Wrong(f"upstream got {len(credentials)} credentials, and not the token alone")
    if any(key in head for key in (keys[0], keys[-1])):
        raise Wrong("a key reached the upstream")


def ask(port, method, path, key, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    if body:
        headers["Content-Type"] = "application/json"
    with contextlib.closing(connection):
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
