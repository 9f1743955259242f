#!/usr/bin/python3
"""Writes the table of README.md from a report's JSON, so that what it says is what was measured, misses included.

  tools/evaluation/headline.py [--check]     # --check: stops with 1 when README.md says something else

Which report: the line in README.md that the table stands under names it.
"""
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import goals
import metrics
import summary
from verdicts import POINTS

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BEGIN, END = r"<!-- headline of (\S+\.json) -->\n", "<!-- end of headline -->\n"


def names(types):
    return ", ".join(t.upper() for t in types) or "none"


def table(report, path):
    """Markdown of one report: accounts found and innocents flagged at each rung, campaigns found and missed."""
    runs = report["runs"]
    policy = summary.policies(runs)[0]
    recall_of = lambda t: metrics.share(summary.recall_cells(runs, policy, of=lambda c: c["type"] == t)) or 0
    types = summary.types(runs)
    missed = [t for t in types if recall_of(t) < 0.1]
    half = [t for t in types if 0.1 <= recall_of(t) < 0.9]
    large = [c for _, c in summary.campaigns(runs, policy)]
    seeds = sorted({r["seed"] for r in runs})
    lines = [f"[{os.path.basename(path)[:-5]}]({path[:-5]}.md), `{report['command']}`: {len(seeds)} {'seed' if len(seeds) == 1 else 'seeds'}, {len(runs)} runs.", "",
             "| | observe | step-up | throttle |", "|---|---|---|---|"]
    for name, cells_of in (("campaign accounts flagged", summary.recall_cells), ("innocent accounts flagged", summary.benign_cells)):
        lines.append(f"| {name} | " + " | ".join(goals.rated(cells_of(runs, policy, p)) for p in POINTS) + " |")
    lines.append(f"| innocent accounts at step-up at any time, taken back later or not | | {goals.rated(summary.benign_cells(runs, policy, 'ever'))} | |")
    lines += ["", f"Campaigns found (half of the accounts, 90 % pure): {sum(c['found_90'] for c in large)} of {len(large)}. **Missed (under 10 % of accounts): {names(missed)}.** "
              f"Found in part (under 90 %): {names(half)}."]
    return "\n".join(lines) + "\n"


def rewritten(text, root=ROOT):
    place = re.search(f"{BEGIN}(.*?){END}", text, re.DOTALL)
    if not place:
        raise SystemExit("headline.py: README.md has no place for the table")
    with open(os.path.join(root, place.group(1))) as file:
        report = json.load(file)
    return text[:place.start(2)] + table(report, place.group(1)) + text[place.end(2):]


def main():
    path = os.path.join(ROOT, "README.md")
    with open(path) as file:
        before = file.read()
    after = rewritten(before)
    if "--check" in sys.argv[1:]:
        if after != before:
            print("README.md: the headline is not what its report says; run tools/evaluation/headline.py")
        return int(after != before)
    with open(path, "w") as file:
        file.write(after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
