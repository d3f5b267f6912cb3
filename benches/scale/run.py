#!/usr/bin/env python3
"""What a gate costs that has much to do with: memory, start, pauses, refreshes, work a request. Linux only.

    cargo build --profile dist && cargo build --example scale_seed
    python3 benches/scale/run.py target/dist/scopegate target/debug/examples/scale_seed [SCENARIO…]

Scenarios: idle, crowd, accounts, start, flat; without any, all of them. `ACCOUNTS=5000 HOT=500` makes the
third small, `SIMULATOR=FILE` takes the upstream from another build. `flat` counts instructions with valgrind and
needs a build with symbols (`--config profile.dist.strip=false`). 100,000 accounts take some minutes to make;
`TMPDIR=/dev/shm` makes that shorter. Each scenario prints a table; what is asserted says so and exits 1.
"""
import os
import resource
import sys
import time

from clients import Crowd, Prober, summary
from flat import flat
from place import Place

ACCOUNTS = int(os.environ.get("ACCOUNTS", 100_000))
HOT = int(os.environ.get("HOT", 10_000))
CROWD = 10_000
# Of their 1,800 s, when the gate starts: the first is due a minute later, the last four minutes.
TOKEN_AGE = 1_260
# The bounds that this holds the gate to, in MiB.
IDLE_MOST, ACCOUNTS_MOST = 25, 300


def main(scopegate, seed, *wished):
    programs = (os.path.abspath(scopegate), os.path.abspath(seed), os.environ.get("SIMULATOR", os.path.abspath(scopegate)))
    scenarios = {"idle": idle, "crowd": crowd, "accounts": accounts, "start": start, "flat": flat}
    unknown = set(wished) - set(scenarios)
    if unknown:
        raise SystemExit(f"no such scenario: {', '.join(unknown)}")
    for name, scenario in scenarios.items():
        if not wished or name in wished:
            print(f"\n## {name}\n", flush=True)
            scenario(programs)


def row(*cells):
    print("| " + " | ".join(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells) + " |", flush=True)


def head(*cells):
    row(*cells)
    print("|---" + "|--:" * (len(cells) - 1) + "|", flush=True)


def at_most(what, found, bound):
    if found > bound:
        sys.exit(f"{what}: {found}, and {bound} is the bound")


def idle(programs):
    """The whole catalogue, 100 policies, 1,000 keys, some calls served, and then nothing to do."""
    with Place(programs, policies=100, keys=1_000) as place:
        head("100 policies, 1,000 keys", "resident, MiB", "of it anonymous")
        place.run_gate()
        memory(place, "ready")
        place.asks(200)
        time.sleep(20)
        at_most("resident at idle", memory(place, "idle, after 200 calls"), IDLE_MOST)


def memory(place, what):
    now = place.memory()
    row(what, now["VmRSS"], now["RssAnon"])
    return now["VmRSS"]


def crowd(programs):
    """A call every 10 ms on one connection, while 10,000 others open, are served, idle and close."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < CROWD + 500:
        raise SystemExit(f"{CROWD + 500} open files are needed, and {most} allowed: raise `ulimit -Hn`")
    # A tenth of the places is kept for addresses with few connections.
    room = f"limits: {{ connections: {CROWD * 12 // 10} }}\n"
    with Place(programs, policies=50, keys=1_000, settings=room) as place:
        place.run_gate()
        prober = Prober(place)
        head(f"{CROWD:,} connections", "calls", "p50, ms", "p99, ms", "worst, ms", "resident, MiB")
        phase(place, prober, "none yet", lambda: time.sleep(5))
        crowds = []
        phase(place, prober, "opening", lambda: crowds.append(Crowd(place, CROWD, served=True)))
        phase(place, prober, "idle", lambda: time.sleep(10))
        at_most("connections that the gate closed", crowds[0].closed(), 0)
        phase(place, prober, "closing", lambda: (crowds[0].close(), time.sleep(2)))
        phase(place, prober, "closed", lambda: time.sleep(5))
        prober.end()


def phase(place, prober, name, work):
    prober.waits()
    work()
    waits = summary(prober.waits())
    row(name, waits["n"], waits["p50"], waits["p99"], waits["worst"], place.memory()["VmRSS"])


def accounts(programs):
    """Many accounts, some of them in use: memory, what it costs to look after them, refreshes, changes."""
    with Place(programs, accounts=ACCOUNTS, hot=HOT, keys=HOT, policies=50, token_age=TOKEN_AGE) as place:
        print(f"(made in {place.seeding:.0f} s)\n")
        head(f"{ACCOUNTS:,} accounts, {HOT:,} in use", "resident, MiB", "of it anonymous")
        took = place.run_gate()
        begun = time.monotonic()
        memory(place, f"ready, after {took:.1f} s")
        place.asks(HOT)
        memory(place, "each in use asked once")
        settled(place)
        memory(place, "at rest")
        before = place.cpu()
        time.sleep(30)
        print(f"\nCPU at rest: {(place.cpu() - before) / 30:.3f} of a core\n")
        refreshes(place, begun)
        head("", "resident, MiB", "of it anonymous")
        at_most("resident", memory(place, "every token refreshed"), ACCOUNTS_MOST)
        row("at most, ever", place.memory()["VmHWM"], "")
        changes(place)


def settled(place):
    """Until what a first start finds (one finding an account, one record a command) has been noted."""
    quiet = 0
    while quiet < 3:
        before = place.cpu()
        time.sleep(5)
        quiet = quiet + 1 if place.cpu() - before < 1.0 else 0


def refreshes(place, begun):
    """How the refreshes of tokens that were all issued at one moment lie in time."""
    width, seen, counts = 10, place.metric("scopegate_token_refreshes_total"), []
    while seen < HOT and time.monotonic() - begun < 600:
        time.sleep(width)
        now = place.metric("scopegate_token_refreshes_total")
        if counts or now > seen:
            counts.append(now - seen)
        seen = now
    print(f"Refreshes in each {width} s, from the first on: {' '.join(f'{count:.0f}' for count in counts)}")
    print(f"in all {seen:.0f}; the most in {width} s {max(counts):.0f}, if even {sum(counts) / len(counts):.0f}\n")
    at_most("tokens that were not refreshed", HOT - seen, 0)


def changes(place):
    """Calls at an even pace while the gate takes up changes."""
    prober = Prober(place, pace=0.002)
    name = f"fleet-{place.portals[1]}"
    print()
    head("a call every 2 ms meanwhile", "calls", "p50, ms", "p99, ms", "worst, ms", "resident, MiB")
    phase(place, prober, "nothing", lambda: time.sleep(10))
    create = ["key", "create", "--integration", "bench-0", "--any-connection"]
    phase(place, prober, "20 × `key create`", lambda: [place.command(*create) for _ in range(20)])
    phase(place, prober, "`key create --count 1000`", lambda: (place.command(*create, "--count", "1000"), time.sleep(3)))
    swap = [["connection", word, name, "--reason", "bench"] for word in ("suspend", "resume")]
    phase(place, prober, "10 × `connection suspend` and `resume`", lambda: [place.command(*words) for words in swap * 10])
    phase(place, prober, "10 × 50 policies written anew", lambda: [rewrite(place) for _ in range(10)])
    phase(place, prober, "5 × SIGHUP", lambda: [(place.gate.send_signal(1), time.sleep(2)) for _ in range(5)])
    prober.end()


def rewrite(place):
    for n in range(place.policies):
        place.write_policy(n)
    time.sleep(1)


def start(programs):
    """How long a start takes, by how much there is."""
    head("accounts", "keys", "start, s", "start again, s", "resident, MiB")
    for count in (1_000, 10_000, ACCOUNTS):
        with Place(programs, accounts=count, keys=count, policies=50) as place:
            first = place.run_gate()
            place.stop_gate()
            again = place.run_gate()
            row(f"{count:,}", f"{count:,}", first, again, place.memory()["VmRSS"])


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
