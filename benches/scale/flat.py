"""Work a call, by how many policies, keys and accounts there are: instructions of the gate's workers, counted by
callgrind, so that neither the machine's speed nor what runs beside it matters."""
import glob
import os
import shutil
import subprocess

from place import Place

CALLS = 300
# Each against the first of its kind.
CASES = {
    "policies": [(10, 1_000, 10), (100, 1_000, 10), (1_000, 1_000, 10)],
    "keys": [(10, 10, 10), (10, 1_000, 10), (10, 100_000, 10)],
    "accounts": [(10, 1_000, 10), (10, 1_000, 1_000), (10, 1_000, 10_000)],
}
# A call takes a hundred times as long as it does without counting.
SETTINGS = "hardening: { sandbox: off }\nstore: { url: sqlite:data/scopegate.db, max_staleness: 10m }\n"
MARK = b"scopegate::proxy::steps"


def flat(programs):
    if shutil.which("valgrind") is None:
        raise SystemExit("valgrind is needed: apt-get install valgrind")
    print("| policies | keys | accounts | instructions a call | of the fewest |\n|--:|--:|--:|--:|--:|", flush=True)
    known = {}
    for cases in CASES.values():
        for case in cases:
            if case not in known:
                known[case] = instructions(programs, *case)
        for policies, keys, accounts in cases:
            found = known[policies, keys, accounts]
            print(f"| {policies:,} | {keys:,} | {accounts:,} | {found:,.0f} | {found / known[cases[0]]:.3f} |", flush=True)


def instructions(programs, policies, keys, accounts):
    """Instructions of the workers for one call, on one connection that stays open."""
    with Place(programs, accounts, min(accounts, 100), keys, policies, settings=SETTINGS) as place:
        out = os.path.join(place.folder, "callgrind")
        place.valgrind = [
            "valgrind",
            "--tool=callgrind",
            f"--callgrind-out-file={out}",
            "--instr-atstart=no",
            "--separate-threads=yes",
        ]
        place.run_gate()
        place.asks(200)
        tell(place, "-i", "on")
        place.asks(20)
        tell(place, "-z")
        place.asks(CALLS)
        tell(place, "-d")
        found = [collected(file) for file in glob.glob(f"{out}*") if is_worker(file)]
        if not found:
            raise SystemExit("no worker is among what callgrind wrote: has the program its symbols?")
        return sum(found) / CALLS


def tell(place, *words):
    subprocess.run(["callgrind_control", *words, str(place.gate.pid)], check=True, stdout=subprocess.DEVNULL)


def is_worker(file):
    """Each thread has files of its own; only a worker's names what carries a call."""
    with open(file, "rb") as lines:
        return any(MARK in line for line in lines)


def collected(file):
    with open(file, encoding="utf-8", errors="replace") as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith("totals:"))
