"""The measurements: each is taken of every contender, one after another, in every round."""
import processes
from counters import CALLS, KERNEL, USER
from loads import FILE, FIND, GET, LIST, LONG_LIST, WRITE

# Flat out, over HTTP/1.1. The names are those of the rows in the report.
CLOSED = {"get": GET, "list": LIST, "long_list": LONG_LIST, "file": FILE, "search": FIND, "create": WRITE}
ROWS = [*CLOSED, "h2", "paced", "paced_create", "idle"]
WARM_SECONDS = 1


class Bench:
    def __init__(self, upstream, loads, counters, settings):
        self.upstream = upstream
        self.loads = loads
        self.counters = counters
        self.settings = settings

    def flat_out(self, contender, row):
        """CPU and rate; and in a run apart, since counting costs time of its own, instructions and system calls."""
        load = self._load(contender, row)
        load(WARM_SECONDS)
        result = self._cpu(contender, lambda: load(self.settings.seconds))
        if self.counters.events:
            counted = self._counted(contender, lambda: load(self.settings.seconds))
            result.update(counted)
        contender.tidy()
        return result

    def paced(self, contender, row):
        """At a fixed rate: latency from when each request was due, and CPU."""
        request, rate = self._pace(row)
        port, seconds = contender.port, self.settings.seconds
        result = self._cpu(contender, lambda: self.loads.paced(port, request, rate, seconds))
        contender.tidy()
        return result

    def direct(self, row):
        """The same, past all gates, in clear text: what the machine and the generator take by themselves."""
        request, rate = self._pace(row)
        port, keys = self.upstream.clear_port, self.upstream.token_file
        return self.loads.paced(port, request, rate, self.settings.seconds, keys)

    def idle(self, contender):
        """Of a contender that was just started: what it holds, and what each connection adds that does nothing."""
        self.loads.closed(contender.port, GET, WARM_SECONDS)
        pids = contender.pids()
        before = processes.resident_kib(pids)
        with self.loads.idle(contender.port, GET, self.settings.idle):
            after = processes.resident_kib(pids)
        return {"resident_kib": before, "kib_each": (after - before) / self.settings.idle}

    def _load(self, contender, row):
        def load(seconds):
            try:
                if row == "h2":
                    return self.loads.h2(contender.h2_port, GET, seconds)
                return self.loads.closed(contender.port, CLOSED[row], seconds)
            except RuntimeError as error:
                raise RuntimeError(f"{contender.name}, {row}: {error}\n{contender.complaints()}") from error

        return load

    def _pace(self, row):
        return (GET, self.settings.rate) if row == "paced" else (WRITE, self.settings.write_rate)

    def _cpu(self, contender, load):
        pids = contender.pids()
        before, cpu_before = self.upstream.counts(), processes.cpu_seconds(pids)
        result = load()
        cpu, seen = processes.cpu_seconds(pids) - cpu_before, self._since(before)
        result["arrived"] = seen["requests"]
        result["connections"] = seen["connections"]
        result["cpu_us"] = cpu / seen["requests"] * 1e6
        if "seconds" in result:
            result["per_second"] = seen["requests"] / result["seconds"]
        return result

    def _counted(self, contender, load):
        before = self.upstream.counts()
        _, events = self.counters.counted(contender.pids(), load)
        requests = self._since(before)["requests"]
        names = {USER: "instructions_user", KERNEL: "instructions_kernel", CALLS: "calls"}
        return {names[event]: count / requests for event, count in events.items()}

    def _since(self, before):
        """What the upstream saw since; every request must have been a good one."""
        seen = {name: count - before[name] for name, count in self.upstream.counts().items()}
        if seen["refused"] or seen["leaked"] or seen["unknown"] or not seen["requests"]:
            raise RuntimeError(f"the upstream saw what it must not: {seen}")
        return seen
