"""The table: medians over the rounds, and medians of ratios to nginx within a round.

Times move with whatever else the machine does, and within one round all contenders meet much the same of it: a ratio
is worth more than the figures it is made of. A cell is empty where nothing was measured.
"""
import statistics

BASE = "nginx"

def _thousands(value):
    return f"{value / 1e3:.1f}"


def _tenths(value):
    return f"{value:.1f}"


def _whole(value):
    return f"{value:,.0f}"


def _mib(value):
    return f"{value / 1024:.1f}"


def _percent(value):
    return f"{value * 100:.3f}"


# Row of the measurements, what is asked in it.
ASKED = {
    "get": "GET 1 KB",
    "list": "list 20 KB",
    "long_list": "list 200 KB",
    "file": "file 200 KB",
    "search": "POST search",
    "create": "POST create",
    "h2": "GET 1 KB, HTTP/2 in",
}

# Row of the measurements, its figure, what it is called, how it is shown.
FIGURES = [
    *((row, "instructions", f"instructions, thousands: {asked}", _thousands) for row, asked in ASKED.items()),
    *((row, "cpu_us", f"CPU, µs: {asked}", _tenths) for row, asked in ASKED.items()),
    ("paced", "cpu_us", "CPU, µs: GET 1 KB at {rate}/s", _tenths),
    ("paced", "added_p50_us", "added p50, µs: GET 1 KB at {rate}/s", _whole),
    ("paced", "added_p99_us", "added p99, µs: GET 1 KB at {rate}/s", _whole),
    ("paced_create", "added_p50_us", "added p50, µs: POST create at {write_rate}/s", _whole),
    ("get", "calls", "system calls: GET 1 KB", _tenths),
    ("list", "calls", "system calls: list 20 KB", _tenths),
    ("get", "per_second", "requests/s: GET 1 KB", _whole),
    ("idle", "kib_each", "idle client connection, KiB", _tenths),
    ("idle", "resident_kib", "resident before load, MiB", _mib),
    ("end", "peak_kib", "resident at most, MiB", _mib),
    ("end", "reuse", "upstream connections reused, %", _percent),
]
# A ratio of these says nothing.
NO_RATIO = {"added_p50_us", "added_p99_us", "reuse", "kib_each"}
USER_INSTRUCTIONS = ["get", "list", "long_list", "search", "create"]


def table(results):
    """Head and rows, as text."""
    names = results["contenders"]
    others = [name for name in names if name != BASE] if BASE in names else []
    head = ["a request", *names, *(f"{name} ÷ {BASE}" for name in others)]
    rows = []
    for row, figure, title, show in FIGURES:
        # One value a round, or none, so that those of one round stand at one place.
        values = {name: [_figure(round_, row, name, figure) for round_ in results["rounds"]] for name in names}
        # The first row stands there empty, too: it is what is asked for first.
        if any(value is not None for of in values.values() for value in of) or not rows:
            rows.append(_line(title.format(**results["settings"]), names, others, values, figure, show))
    rows.extend(_callgrind(results, names, others))
    return head, rows


def _line(title, names, others, values, figure, show):
    cells = []
    for name in names:
        of = [value for value in values[name] if value is not None]
        middle = max if figure == "peak_kib" else statistics.median
        cells.append(show(middle(of)) if of else "")
    for name in others:
        pairs = zip(values[name], values[BASE], strict=True)
        ratios = [value / base for value, base in pairs if value is not None and base]
        cells.append(f"{statistics.median(ratios):.2f}" if ratios and figure not in NO_RATIO else "")
    return [title, *cells]


def _callgrind(results, names, others):
    """The program's own instructions, which are counted once: they repeat."""
    counted = results["callgrind"]
    for row in USER_INSTRUCTIONS:
        values = {name: [counted.get(name, {}).get(row, {}).get("instructions_user")] for name in names}
        if any(value is not None for [value] in values.values()):
            title = f"user code, thousands of instructions: {ASKED[row]}"
            yield _line(title, names, others, values, "instructions", _thousands)


def _figure(measured, row, name, figure):
    of = measured.get(row, {}).get(name, {})
    if figure == "instructions":
        both = [of.get("instructions_user"), of.get("instructions_kernel")]
        return sum(both) if None not in both else None
    if figure.startswith("added_") and of:
        word = figure.removeprefix("added_")
        direct = measured[row].get("direct")
        return of[word] - direct[word] if direct else None
    return of.get(figure)


def notes(results):
    """What the reader of the table must know."""
    machine, settings = results["machine"], results["settings"]
    yield (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, Linux {machine['kernel']}; "
        f"nginx {machine['nginx']} and HAProxy {machine['haproxy']} with OpenSSL {machine['openssl']}; "
        f"load average before: {machine['load_average']}."
    )
    yield (
        f"{len(results['rounds'])} round(s) of {settings['seconds']} s a row; medians, and medians of ratios within a "
        "round. 64 connections, two workers each, TLS 1.3 to the upstream, everything on loopback."
    )
    yield "OpenSSL 3.0 is slow with large bodies: newer TLS libraries would close part of the gap from 20 KB on."
    syncs = [measured["sync_us"] for measured in results["rounds"] if "sync_us" in measured]
    if syncs:
        yield f"Median fdatasync of 512 bytes here: {statistics.median(syncs):.0f} µs; a create waits for one."
    direct = [one for one in (measured.get("paced", {}).get("direct") for measured in results["rounds"]) if one]
    if direct:
        p50, p99 = (statistics.median(one[word] for one in direct) for word in ("p50_us", "p99_us"))
        yield f"Direct, past all gates: p50 {p50:.0f} µs, p99 {p99:.0f} µs."
    if not results["has_instructions"]:
        yield "The processor's counters are not to be had here: no instructions of user code and kernel together."
    if results.get("callgrind"):
        yield "Instructions of user code: valgrind's, one worker, 8 connections; the kernel's are not in them."
    yield "Resident at most is the sum over a contender's processes: what nginx's three share counts three times."
    for name, why in results["wrong"].items():
        yield f"{name} was not measured, it does not do the job: {why}"
    for what in results["failed"]:
        yield f"Not measured: {what}"


def plain(results):
    head, rows = table(results)
    widths = [max(len(line[at]) for line in [head, *rows]) for at in range(len(head))]
    for line in [head, *rows]:
        first, *rest = line
        yield "  ".join([first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:]))]).rstrip()
    yield ""
    yield from notes(results)


def markdown(results):
    head, rows = table(results)
    yield "| " + " | ".join(head) + " |"
    yield "|---|" + "--:|" * (len(head) - 1)
    for line in rows:
        yield "| " + " | ".join(line) + " |"
    yield ""
    yield "\n".join(notes(results))
