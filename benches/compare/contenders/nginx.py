"""nginx as a static access list: maps for keys and rules, the token put in, a pool of kept connections."""
import contextlib

import processes
from contenders import NOTHING, WORKERS, Contender
from rules import RULES
from upstream import TOKEN

CONFIG = """\
worker_processes {workers};
worker_rlimit_nofile {files};
daemon off;
master_process {master};
pid {folder}/pid;
error_log {folder}/error.log warn;
pcre_jit on;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    server_tokens off;
    default_type application/octet-stream;
    keepalive_timeout 75s;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map_hash_max_size 8192;
    map_hash_bucket_size 128;
    map $http_authorization $known_key {{
        default 0;
        include {folder}/keys;
    }}
    map "$request_method $uri" $allowed {{
        default 0;
        include {folder}/rules;
    }}
    upstream hubspot {{
        server 127.0.0.1:{upstream};
        keepalive 128;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} reuseport;
        listen 127.0.0.1:{h2_port} http2 reuseport;
        client_max_body_size 8m;
        location / {{
            if ($known_key = 0) {{ return 401; }}
            if ($allowed = 0) {{ return 403; }}
            proxy_pass https://hubspot;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host api.hubapi.com;
            proxy_set_header Authorization "Bearer {token}";
            proxy_ssl_protocols TLSv1.3;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {ca};
            proxy_ssl_server_name on;
            proxy_ssl_name localhost;
            # An answer of 200 KB stays in memory.
            proxy_buffer_size 16k;
            proxy_buffers 32 16k;
            proxy_busy_buffers_size 64k;
            proxy_max_temp_file_size 0;
        }}
    }}
}}
"""


@contextlib.contextmanager
def running(folder, upstream, keys, beneath=NOTHING):
    folder.mkdir()
    # Workers have a user of their own.
    folder.chmod(0o755)
    port, h2_port = processes.free_port(), processes.free_port()
    (folder / "keys").write_text("".join(f'"Bearer {key}" 1;\n' for key in keys), encoding="ascii")
    (folder / "rules").write_text("".join(map(rule, RULES)), encoding="ascii")
    text = CONFIG.format(
        workers=1 if beneath else WORKERS,
        # Valgrind's counters are asked for by process: with one there is one to ask.
        master="off" if beneath else "on",
        files=processes.files(),
        folder=folder,
        upstream=upstream.port,
        port=port,
        h2_port=h2_port,
        token=TOKEN,
        ca=upstream.ca,
    )
    (folder / "nginx.conf").write_text(text, encoding="ascii")
    log = folder / "log"
    command = [*beneath.command, "nginx", "-p", folder, "-c", folder / "nginx.conf"]
    with processes.running(command, log, beneath.prepare) as process:
        processes.wait_for_port(process, port, log)
        yield Contender("nginx", process.pid, port, h2_port, folder)


def rule(rule):
    if rule.is_exact:
        return f'"{rule.method} {rule.path}" 1;\n'
    return f'"~^{rule.method} {rule.pattern[1:]}" 1;\n'
