"""Counts what a request costs: by the difference of two runs, so that whatever is there once drops out.

Start-up, handshakes, the first request and the window's own edges are the same in a run of N requests and one of 3 N;
what is left is 2 N requests. Threads that serve no request (the publisher, the admin listener, their timers) go by the
clock, not by requests: they are left out. Two threads count: the worker, and the writer of the audit log as far as
scenarios.py says.
"""

import heapq

import callgrind
import client
import features
import scenarios

WARM_UP = 32
# A multiple of what is made for 64 requests at once (correlation ids).
REQUESTS = 64
# The threads that count, by the source only they run.
WORKER, WRITER = "worker", "audit writer"
THREADS = {WORKER: "src/proxy/", WRITER: "src/audit/numbered.rs"}
# Where the writer waits for records, takes them and hands them to the disk, all at once.
GATHERING = ("src/audit/writer.rs", "src/audit/queue.rs", "src/audit/files.rs")
# A thread is known by so many of its dearest places.
LOOKED_AT = 10_000


def count(gate, scenario, threads):
    """A request's profile, by thread; `threads` says which is which."""
    asking = open_client(gate, scenario)
    try:
        ask(gate, asking, WARM_UP)
        gate.dump()
        ask(gate, asking, REQUESTS)
        once = read(gate.dump())
        ask(gate, asking, 3 * REQUESTS)
        thrice = read(gate.dump())
    finally:
        asking.close()
    nothing = callgrind.Profile()
    return {
        name: thrice.get(thread, nothing).minus(once.get(thread, nothing)).over(2 * REQUESTS)
        for name, thread in threads.items()
    }


def of_writer(scenario, profile, places):
    """What counts of the audit log's writer."""
    if scenario.written == scenarios.NOTHING:
        return 0
    if scenario.written == scenarios.ALL:
        return profile.total
    sums = features.Attribution(profile, features.ByLine(places.frames)).sum_up()
    return sum(cost for line, cost in sums.items() if line.startswith("src/audit/") and not line.startswith(GATHERING))


def open_client(gate, scenario):
    return client.open_client(gate.address, scenario, scenario.key or gate.keys[scenario.policy])


def ask(gate, asking, times):
    for _ in range(times):
        asking.ask()
    gate.settle()


def read(files):
    """The profiles of a dump, by thread."""
    return {file.name.rpartition("-")[2]: callgrind.read(file) for file in files}


def recognise(gate, scenario, places):
    """Which thread is which: by whose the sources are that it runs most. They last as long as the gate."""
    asking = open_client(gate, scenario)
    try:
        ask(gate, asking, WARM_UP)
        gate.dump()  # with what a thread does once: gathering randomness for its first secrets, a quarter of a billion
        ask(gate, asking, WARM_UP)
        profiles = read(gate.dump())
    finally:
        asking.close()
    dearest = {
        thread: heapq.nlargest(LOOKED_AT, profile.own.items(), key=lambda item: item[1])
        for thread, profile in profiles.items()
    }
    places.look_up(place for found in dearest.values() for place, _ in found)
    named = {}
    for name, source in THREADS.items():
        spent = {
            thread: sum(
                cost for place, cost in found if any(frame.file.startswith(source) for frame in places.frames(place))
            )
            for thread, found in dearest.items()
        }
        named[name] = max(spent, key=spent.get)
        if not spent[named[name]]:
            raise RuntimeError(f"no thread runs {source}: is the binary built with line tables?")
    return named
