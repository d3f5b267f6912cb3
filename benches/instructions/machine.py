"""Whether this machine can count, and what else than the gate's source its numbers stand on."""

import pathlib
import platform
import re
import shutil
import subprocess

TOOLS = ["valgrind", "vgdb", "addr2line", "readelf", "openssl"]


def why_not():
    """What is missing; empty: nothing."""
    if platform.machine() != "x86_64":
        return f"the budget is of x86-64, and this is {platform.machine()}"
    # What valgrind shows of the processor decides which code the C library and aws-lc run.
    if not {"avx2", "aes", "bmi2"} <= set(flags()):
        return "the budget is of a processor with AVX2, AES and BMI2"
    if missing := [tool for tool in TOOLS if not shutil.which(tool)]:
        return f"missing: {', '.join(missing)}"
    if not has_symbols_of_libc():
        return "the C library's symbols are missing (libc6-dbg)"
    return ""


def flags():
    found = re.search(r"^flags\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return found.group(1).split() if found else []


def has_symbols_of_libc():
    """Where distributions put them: by the library's build id."""
    mapped = pathlib.Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    libc = next((line.split()[-1] for line in mapped if "/libc.so" in line), "")
    notes = subprocess.run(["readelf", "--notes", libc], capture_output=True, text=True).stdout if libc else ""
    found = re.search(r"Build ID: ([0-9a-f]{2})([0-9a-f]+)", notes)
    return bool(found) and pathlib.Path(f"/usr/lib/debug/.build-id/{found[1]}/{found[2]}.debug").exists()


def described(scopegate):
    """Compiler, valgrind and C library: with others the numbers are others."""
    comment = subprocess.run(["readelf", "--string-dump=.comment", scopegate], capture_output=True, text=True).stdout
    compiler = re.search(r"rustc version \S+", comment)
    valgrind = subprocess.run(["valgrind", "--version"], capture_output=True, text=True).stdout.strip()
    return ", ".join([compiler[0] if compiler else "an unknown compiler", valgrind, " ".join(platform.libc_ver())])
