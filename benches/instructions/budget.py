"""The numbers that are kept: what each scenario may cost. A change that makes one dearer by more than 5 % fails.

Runs of the same program, on a machine with fourteen other things to do, were 1 % apart for what goes up and 3 % for
refusals, whose few allocations cost more or less by what the C library's heap went through before.
"""

import pathlib

import report

FILE = pathlib.Path(__file__).resolve().parent / "budget.tsv"
TOLERANCE = 0.05
UPDATE = "benches/instructions/run --scopegate PROGRAM --update"
BEGIN, END = "<!-- budget: begin -->", "<!-- budget: end -->"
COUNTED_WITH = "Counted with "


def read():
    text = FILE.read_text(encoding="utf-8")
    with_what = next(line for line in text.splitlines() if COUNTED_WITH in line).partition(COUNTED_WITH)[2]
    return report.Counts.read(text), with_what


def write(counts, with_what, readme):
    heading = [
        "Instructions of one request, by feature: what `tests/run instructions` holds the gate against.",
        f"Written by `{UPDATE}`.",
        COUNTED_WITH + with_what,
    ]
    FILE.write_text(counts.written(heading), encoding="utf-8")
    before, after = around_the_table(readme)
    readme.write_text(before + table() + after, encoding="utf-8")


def table():
    """As it stands in the README: made of what is kept, so that the two are one."""
    counts, with_what = read()
    return f"\n{counts.markdown()}\n\n({with_what})\n"


def around_the_table(readme):
    before, begin, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise RuntimeError(f"the README has no `{BEGIN}` … `{END}`")
    return before + begin, end + after


def check(counts, with_what, readme):
    """Prints what differs; 1: too dear, or the README tells other numbers than are kept."""
    kept, kept_with = read()
    mistakes = compare(counts, kept)
    if mistakes and with_what != kept_with:
        mistakes.append(f"counted with {with_what}; the budget is of {kept_with}: that alone may be it")
    before, after = around_the_table(readme)
    if readme.read_text(encoding="utf-8") != before + table() + after:
        mistakes.append(f"the README's table is not that of budget.tsv: `{UPDATE}`")
    print("\n".join(mistakes + notes(counts, kept)) or "within the budget")
    return 1 if mistakes else 0


def compare(counts, kept):
    """What may not be."""
    mistakes = []
    if list(counts.rows) != list(kept.rows):
        mistakes.append(f"the budget is of other scenarios: `{UPDATE}`")
    for name in counts.rows.keys() & kept.rows.keys():
        now, most = counts.total(name), kept.total(name)
        if now > most * (1 + TOLERANCE):
            mistakes.append(
                f"{name}: {now:.0f} instructions, {now / most - 1:+.1%} of its budget of {most:.0f}. "
                f"Grown: {grown(counts, kept, name)}"
            )
        if counts.unattributed(name) > report.UNATTRIBUTED_MOST:
            mistakes.append(f"{name}: {counts.unattributed(name):.1%} belong to no feature: see features.tsv")
    return sorted(mistakes)


def notes(counts, kept):
    """What should be looked at."""
    better = [
        f"{name}: {counts.total(name) / kept.total(name) - 1:+.1%}"
        for name in counts.rows.keys() & kept.rows.keys()
        if counts.total(name) < kept.total(name) * (1 - TOLERANCE)
    ]
    if not better:
        return []
    return [f"warning: cheaper than the budget ({', '.join(sorted(better))}). Keep it: `{UPDATE}`"]


def grown(counts, kept, name):
    """The features that did, most first."""
    features = counts.rows[name].keys() | kept.rows[name].keys()
    more = {feature: counts.rows[name].get(feature, 0) - kept.rows[name].get(feature, 0) for feature in features}
    dearest = sorted((feature for feature in more if more[feature] >= 50), key=more.get, reverse=True)
    return ", ".join(f"{feature} {more[feature]:+.0f}" for feature in dearest[:5])
