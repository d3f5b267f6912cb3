"""HAProxy as a static access list: a map of keys, a tree of exact rules, a list of patterns, a pool of kept
connections."""
import contextlib

import processes
from contenders import NOTHING, WORKERS, Contender
from rules import RULES
from upstream import TOKEN

CONFIG = """\
global
    nbthread {workers}
    maxconn {connections}
    ssl-default-server-options ssl-min-ver TLSv1.3
defaults
    mode http
    timeout connect 10s
    timeout client 75s
    timeout server 110s
    timeout http-request 10s
    timeout http-keep-alive 75s
    option http-keep-alive
    http-reuse always
frontend gate
    # HTTP/2 is told by its first bytes.
    bind 127.0.0.1:{port}
    acl known_key http_auth_bearer,map_str({folder}/keys) -m found
    http-request set-var(txn.path) path
    acl allowed method,concat(,txn.path) -m str -f {folder}/exact
    acl allowed method,concat(,txn.path) -m reg -f {folder}/patterns
    http-request deny deny_status 401 unless known_key
    http-request deny deny_status 403 unless allowed
    http-request set-header Authorization "Bearer {token}"
    http-request set-header Host api.hubapi.com
    default_backend hubspot
backend hubspot
    server api 127.0.0.1:{upstream} ssl verify required ca-file {ca} sni str(localhost) verifyhost localhost pool-max-conn 256
"""


@contextlib.contextmanager
def running(folder, upstream, keys, beneath=NOTHING):
    folder.mkdir()
    port = processes.free_port()
    exact = [f"{rule.method}{rule.path}\n" for rule in RULES if rule.is_exact]
    patterns = [f"^{rule.method}{rule.pattern[1:]}\n" for rule in RULES if not rule.is_exact]
    (folder / "keys").write_text("".join(f"{key} 1\n" for key in keys), encoding="ascii")
    (folder / "exact").write_text("".join(exact), encoding="ascii")
    (folder / "patterns").write_text("".join(patterns), encoding="ascii")
    text = CONFIG.format(
        connections=min(20_000, processes.files() // 2 - 100),
        workers=1 if beneath else WORKERS, folder=folder, port=port, token=TOKEN, upstream=upstream.port, ca=upstream.ca
    )
    (folder / "haproxy.cfg").write_text(text, encoding="ascii")
    log = folder / "log"
    with processes.running([*beneath.command, "haproxy", "-db", "-f", folder / "haproxy.cfg"], log, beneath.prepare) as process:
        processes.wait_for_port(process, port, log)
        yield Contender("haproxy", process.pid, port, port, folder)
