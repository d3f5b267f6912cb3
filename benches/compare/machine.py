"""The machine: what it is, what it lacks, and how fast its disk says that something is there."""
import os
import platform
import re
import shutil
import subprocess
import time
from pathlib import Path

PACKAGES = {
    "nginx": "nginx",
    "haproxy": "haproxy",
    "wrk": "wrk",
    "h2load": "nghttp2-client",
    "nghttp": "nghttp2-client",
    "perf": "linux-perf",
    "valgrind": "valgrind",
}
# Without these something is not measured, and the table says so.
OPTIONAL = {"perf", "valgrind"}
# Asked by Debian's packages whether they may start what they bring; 101: no.
POLICY = Path("/usr/sbin/policy-rc.d")
SYNCS = 300
SYNC_BYTES = 512


def install_what_is_missing(commands=tuple(PACKAGES)):
    missing = [command for command in commands if not _has(command)]
    if not missing:
        return
    if os.getuid() != 0 or not shutil.which("apt-get"):
        needed = [command for command in missing if command not in OPTIONAL]
        if needed:
            raise SystemExit(f"these are missing, please install them: {' '.join(needed)}")
        return
    own_policy = not POLICY.exists()
    if own_policy:
        POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
        POLICY.chmod(0o755)
    try:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=True, stdout=2)
        packages = sorted({PACKAGES[command] for command in missing})
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
        subprocess.run(install, check=True, stdout=2, env=environment)
    finally:
        if own_policy:
            POLICY.unlink()


def _has(command):
    return shutil.which(command) is not None or Path("/usr/sbin", command).exists()


def describe():
    with open("/proc/cpuinfo", encoding="ascii") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown")
    nginx = _said("nginx", "-V")
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "nginx": _first(r"nginx/(\S+)", nginx),
        "haproxy": _first(r"version (\S+)", _said("haproxy", "-v")),
        "openssl": _first(r"Running on OpenSSL version : OpenSSL (\S+)", _said("haproxy", "-vv")),
        "load_average": round(os.getloadavg()[0], 2),
    }


def sync_us(folder):
    """Median time of `fdatasync` after 512 bytes more, in the folder."""
    path = folder / "sync"
    times = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for _ in range(SYNCS):
            begun = time.perf_counter()
            os.write(descriptor, bytes(SYNC_BYTES))
            os.fdatasync(descriptor)
            times.append(time.perf_counter() - begun)
    finally:
        os.close(descriptor)
        path.unlink()
    return sorted(times)[SYNCS // 2] * 1e6


def _said(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def _first(pattern, text):
    found = re.search(pattern, text)
    return found.group(1) if found else "unknown"
