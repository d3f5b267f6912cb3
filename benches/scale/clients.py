"""Clients that measure: one that asks at an even pace and notes how long each answer took, and many that only
hold a connection. Each in a process of its own, so that none waits for another's interpreter."""
import http.client
import math
import multiprocessing
import select
import socket
import time


class Prober:
    """Asks every `pace` seconds on one connection, beside whatever happens meanwhile."""

    def __init__(self, place, pace=0.01):
        self.ours, theirs = multiprocessing.Pipe()
        call = (place.address, place.keys[0], place.portals[0])
        self.process = multiprocessing.Process(target=probe, args=(theirs, call, pace), daemon=True)
        self.process.start()
        theirs.close()

    def waits(self):
        """Milliseconds of each answer since the last call of this, in order; all were 200s."""
        self.ours.send("tell")
        waits = self.ours.recv()
        if isinstance(waits, str):
            raise SystemExit(f"a probe was not answered: {waits}")
        return waits

    def end(self):
        self.ours.send("end")
        self.process.join(timeout=30)


def probe(pipe, call, pace):
    address, key, portal = call
    connection = http.client.HTTPConnection(address, timeout=60)
    waits, due = [], time.monotonic()
    while True:
        if pipe.poll():
            if pipe.recv() == "end":
                return
            pipe.send(waits)
            waits = []
        begun = time.monotonic()
        connection.request("GET", "/crm/v3/owners", headers={"authorization": f"Bearer {key}~{portal}"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            pipe.send(f"status {answer.status}")
            return
        now = time.monotonic()
        waits.append((now - begun) * 1_000)
        due = max(due + pace, now)
        time.sleep(due - now)


def answer(one):
    """What came first; nothing if the connection was closed."""
    try:
        return one.recv(65_536)
    except ConnectionError:
        return b""


def summary(waits):
    """How many, and the median, the 99th percentile and the longest of them, in milliseconds."""
    ordered = sorted(waits)
    at = lambda part: ordered[min(len(ordered) - 1, math.ceil(part * len(ordered)) - 1)]
    return {"n": len(ordered), "p50": at(0.5), "p99": at(0.99), "worst": ordered[-1]}


class Crowd:
    """Connections that have each had one answer and then do nothing."""

    def __init__(self, place, count, served):
        self.place, self.sockets = place, []
        host, port = place.address.split(":")
        request = (
            f"GET /crm/v3/owners HTTP/1.1\r\nhost: {place.address}\r\n"
            f"authorization: Bearer {{}}~{place.portals[0]}\r\n\r\n"
        )
        for n in range(count):
            # An address may hold 2,000 connections of the gate's, so they come from several.
            one = socket.create_connection((host, int(port)), 60, source_address=(f"127.0.0.{2 + n // 1_900}", 0))
            self.sockets.append(one)
            if served:
                # A key may hold 500.
                one.sendall(request.format(place.keys[1 + n // 450]).encode())
                if not answer(one).startswith(b"HTTP/1.1 200"):
                    raise SystemExit(f"connection {n} of the crowd was not served:\n{place.log()[-1000:]}")

    def closed(self):
        """How many of them the gate has closed."""
        poll = select.poll()
        by_number = {one.fileno(): one for one in self.sockets}
        for number in by_number:
            poll.register(number, select.POLLIN)
        return sum(1 for number, _ in poll.poll(0) if not by_number[number].recv(65_536))

    def close(self):
        for one in self.sockets:
            one.close()
