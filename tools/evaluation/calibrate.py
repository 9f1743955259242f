#!/usr/bin/python3
"""How often groups of a stated probability are what they are called: a table for each of the two labels, from development runs only.

    tools/evaluate --preset standard --seeds 11..16 --split dev --in-process --set policy.calibrated=false --out build/evaluate        # leaves truth and verdicts of every run
    /usr/bin/python3 tools/evaluation/calibrate.py build/evaluate --policy 1e-3 [--write pooled pipeline/campaign/calibration_pooled.inc]

One sample is a campaign's newest verdict, also a withdrawn one, not one that went into another. `distillation_like` is so when at least half of
its accounts are of one campaign of the truth, `pooled` also when at least half are one owner's. The table is the monotone one that fits best
(pool adjacent violators), each step with its count and a 95 % interval (Wilson). What it is worth is told on seeds that did not make it: the Brier
score with each seed left out in turn, beside the stated probabilities' own. Runs of another split, or of seeds outside 11 to 20, are
refused: a table made of what evaluation is judged by would say nothing. With fewer than SAMPLES_MIN samples no table is written, nor one that is
no better than what is stated. What is written says (so + 1) / (verdicts + 2) of each step: no step is certain.
"""
import argparse
import collections
import glob
import json
import math
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from truth import Truth  # noqa: E402

LABELS = ("pooled", "distillation_like")
SEEDS = range(11, 21)
SAMPLES_MIN = 300  # below, a step's interval is wider than what it would correct
ONE = 65_536


class Refused(Exception):
    """The runs may not make a table; the message says which and why."""


def newest_verdicts(folder):
    """{campaign: (stated {label: 1/65,536}, accounts)} of campaigns that did not go into another; claims of partners left out."""
    newest = {}
    with open(os.path.join(folder, "campaign-verdict.ndjson")) as file:
        for record in map(json.loads, file):
            if record["part"] == 1:
                newest[record["campaign_id"]] = [record, []]
            newest[record["campaign_id"]][1] += [a["id"] for a in record["accounts"]]
    return {c: ({label: r["labels"][label] for label in LABELS}, accounts) for c, (r, accounts) in newest.items()
            if accounts and not r["superseded_by"] and r["advice"]["reason_code"] != "partner_claim"}


def most(values):
    return max(collections.Counter(values).values(), default=0)


def is_so(truth, accounts):
    """{label: whether the group is what the label says}"""
    campaigns = [c for c in map(truth.campaign_of, accounts) if c]
    owners = [truth.accounts[a]["owner"] for a in accounts if a in truth.accounts]
    harvest = 2 * most(campaigns) >= len(accounts)
    return {"distillation_like": harvest, "pooled": harvest or 2 * most(owners) >= len(accounts)}


def runs_of(outs, policy):
    """[(truth, folder of topics)] of runs off a file, whose truth lies beside the folder, and of those in process, where it lies in it."""
    for out in outs:
        yield from ((path, f"{path[:-5]}-{policy}") for path in sorted(glob.glob(os.path.join(out, "*.json"))))
        yield from ((path, os.path.dirname(path)) for path in sorted(glob.glob(os.path.join(out, f"*-{policy}", "truth.json"))))


def samples_of(outs, policy):
    """{label: [(seed, stated, so)]} of every run below the folders that was judged under the policy."""
    samples = {label: [] for label in LABELS}
    for path, folder in runs_of(outs, policy):
        if not os.path.exists(os.path.join(folder, "campaign-verdict.ndjson")):
            continue
        with open(path) as file:
            whole = json.load(file)
        if whole["split"] != "dev" or whole["seed"] not in SEEDS:
            raise Refused(f"{path}: split {whole['split']}, seed {whole['seed']}; tables are made of split dev, seeds 11 to 20")
        truth = Truth(path)
        for stated, accounts in newest_verdicts(folder).values():
            so = is_so(truth, accounts)
            for label in LABELS:
                samples[label].append((whole["seed"], stated[label], so[label]))
    return samples


def monotone(samples):
    """[(stated from, rate, count)]: the rising steps that fit [(stated, so)] best by squares."""
    at = {}  # {stated: [so, count]}
    for stated, so in samples:
        at.setdefault(stated, [0, 0])
        at[stated][0] += so
        at[stated][1] += 1
    blocks = []  # [first stated, so, count]
    for stated in sorted(at):
        blocks.append([stated, *at[stated]])
        while len(blocks) > 1 and blocks[-2][1] * blocks[-1][2] >= blocks[-1][1] * blocks[-2][2]:
            _, so, count = blocks.pop()
            blocks[-1][1] += so
            blocks[-1][2] += count
    return [(first, so / count, count) for first, so, count in blocks]


def written(rate, count):
    """What a step of `count` verdicts says when it is written: none is certain."""
    return (rate * count + 1) / (count + 2)


def step_at(table, stated):
    """(rate, count); below the first step that one's."""
    step = table[0][1:]
    for first, *this in table:
        if first > stated:
            break
        step = this
    return step


def brier(pairs):
    """Mean squared distance of [(probability, so)]."""
    return sum((p - so) ** 2 for p, so in pairs) / len(pairs) if pairs else math.nan


def held_out(samples):
    """(Brier of stated probabilities, Brier of tables made without the sample's seed)"""
    stated, corrected = [], []
    for seed in sorted({s for s, _, _ in samples}):
        rest = [(p, so) for s, p, so in samples if s != seed]
        if not rest:
            continue
        table = monotone(rest)
        for s, p, so in samples:
            if s == seed:
                stated.append((p / ONE, so))
                corrected.append((written(*step_at(table, p)), so))
    return brier(stated), brier(corrected)


def include_of(label, table, samples, seeds, policy):
    """What the daemon compiles in: a row for each step."""
    rows = "".join(f"{{{first}, {round(written(rate, count) * ONE)}}},  // {round(rate * count)} of {count}\n" for first, rate, count in table)
    return (f"// Written by tools/evaluation/calibrate.py: {label} stated from, so; 1/65,536. {len(samples)} verdicts of development seeds {', '.join(map(str, seeds))}, policy {policy}.\n" + rows)


def wilson(rate, n, z=1.96):
    middle, spread = rate + z * z / (2 * n), z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return max(0.0, (middle - spread) / (1 + z * z / n)), min(1.0, (middle + spread) / (1 + z * z / n))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", nargs="+", help="folders of tools/evaluate --out")
    parser.add_argument("--policy", default="1e-3")
    parser.add_argument("--write", nargs=2, metavar=("LABEL", "FILE.inc"), help="the table of one label, for the daemon")
    given = parser.parse_args()
    try:
        samples = samples_of(given.out, given.policy)
    except Refused as why:
        sys.exit(f"calibrate: {why}")
    tables, better = {}, set()
    for label in LABELS:
        n = len(samples[label])
        seeds = sorted({s for s, _, _ in samples[label]})
        print(f"{label}: {n} verdicts of seeds {seeds}, {sum(so for _, _, so in samples[label])} of them so")
        if not n:
            continue
        stated, corrected = held_out(samples[label])
        print(f"  Brier, each seed left out: stated {stated:.4f}, by a table of the others {corrected:.4f}")
        table = monotone([(p, so) for _, p, so in samples[label]])
        if corrected < stated:
            better.add(label)
        print("  stated from | is so | of | 95 % interval")
        for first, rate, count in table:
            low, high = wilson(rate, count)
            print(f"  {first / ONE:11.4f} | {rate:5.3f} | {count} | {low:.3f} to {high:.3f}")
        tables[label] = include_of(label, table, samples[label], seeds, given.policy)
    if not given.write:
        return
    label, path = given.write
    if label not in LABELS:
        sys.exit(f"calibrate: no label {label}; there are {', '.join(LABELS)}")
    if len(samples[label]) < SAMPLES_MIN:
        sys.exit(f"calibrate: {len(samples[label])} verdicts are too few for a table, {SAMPLES_MIN} are asked for; nothing was written")
    if label not in better:
        sys.exit(f"calibrate: a table of {label} is no better than what is stated; nothing was written")
    with open(path, "w") as file:
        file.write(tables[label])


if __name__ == "__main__":
    main()
