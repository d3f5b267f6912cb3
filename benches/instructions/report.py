"""What was counted, as tables people read and as the table that is kept."""

import collections

import features
import scenarios

# So much of a scenario may belong to no feature.
UNATTRIBUTED_MOST = 0.05


class Counts:
    """Instructions a request, by scenario and feature."""

    def __init__(self, rows):
        self.rows = rows  # scenario -> feature -> instructions

    def total(self, scenario):
        return sum(self.rows[scenario].values())

    def unattributed(self, scenario):
        return self.rows[scenario].get(features.UNATTRIBUTED, 0) / self.total(scenario)

    def written(self, heading):
        """As budget.tsv holds it."""
        names = list(self.rows)
        lines = [*(f"# {line}" for line in heading), "\t".join(["feature", *names])]
        for feature in self.features():
            lines.append("\t".join([feature, *(str(round(self.rows[name].get(feature, 0))) for name in names)]))
        return "\n".join(lines) + "\n"

    @staticmethod
    def read(text):
        lines = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
        names = lines[0][1:]
        rows = {name: {} for name in names}
        for feature, *numbers in lines[1:]:
            for name, number in zip(names, numbers, strict=True):
                rows[name][feature] = int(number)
        return Counts(rows)

    def features(self):
        """All that cost anything, dearest first by the sum of all scenarios; what is left over comes last."""
        sums = collections.Counter()
        for row in self.rows.values():
            sums.update({feature: max(cost, 0) for feature, cost in row.items()})
        named = [feature for feature, cost in sums.most_common() if cost >= 0.5]
        return sorted(named, key=lambda feature: feature == features.UNATTRIBUTED)

    def markdown(self):
        """A table of thousands."""
        titles = {scenario.name: scenario.title for scenario in scenarios.SCENARIOS}
        names = list(self.rows)
        lines = [
            "| thousand instructions | " + " | ".join(titles[name] for name in names) + " |",
            "|---|" + "--:|" * len(names),
        ]
        for feature in self.features():
            cells = [thousands(self.rows[name].get(feature, 0)) for name in names]
            lines.append(f"| {feature} | " + " | ".join(cells) + " |")
        totals = [f"**{self.total(name) / 1000:.1f}**" for name in names]
        lines.append("| **together** | " + " | ".join(totals) + " |")
        return "\n".join(lines)


def thousands(cost):
    return f"{cost / 1000:.1f}" if cost >= 50 else ""


def spread(rounds):
    """How far apart the rounds are, by scenario."""
    lines = []
    for name in rounds[0].rows:
        totals = [counts.total(name) for counts in rounds]
        width = (max(totals) - min(totals)) / min(totals)
        lines.append(f"{name}: {min(totals):.0f} to {max(totals):.0f} in {len(rounds)} rounds, {width:.2%} apart")
    return "\n".join(lines)
