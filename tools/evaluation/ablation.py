"""What each layer adds: every live verdict's probability worked out again from its own evidence with one layer left out. Only verdicts
that come out as they were said, with all layers, are counted: where this file no longer knows how detection adds up, it says so."""
import math
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
FAMILY_NATS, HARVEST_NATS = 4.6, 2.3  # as in docs/detection.md
HALVED = ("stack", "timing")
TOLD = ("semantic_cluster",)  # of a family that counts, and not counted itself


def threshold_of(policy):
    with open(os.path.join(HERE, "policies", policy + ".toml")) as file:
        return int(re.search(r"(?m)^step_up_permille = (\d+)", file.read()).group(1)) / 1000


def distillation(evidence, prior, without=None):
    """Of [(layer's name, family, nats)]: within a family the strongest, but elicitation by itself; two families or no more than one half."""
    families, elicitation = {}, 0.0
    for name, family, nats in evidence:
        if name == without or name in TOLD:
            continue
        if name == "elicitation":
            elicitation = nats
        else:
            families[family] = max(families.get(family, 0.0), nats)
    content, work, stack, timing = (families.get(f, 0.0) for f in ("content", "work", *HALVED))
    said = 1 / (1 + math.exp(-(prior + content + work + elicitation + (stack + timing) / 2)))
    strong = sum(nats >= FAMILY_NATS - 0.005 for nats in (content, work, stack, timing))
    harvests = max(work, elicitation) >= HARVEST_NATS - 0.005
    return said if strong >= 2 and harvests else min(said, 0.5)


def count(groups, threshold):
    """(groups worked out, groups that could not be, {layer: (groups lost without it, their campaign accounts)})."""
    known, unknown, lost = 0, 0, {}
    for g in groups:
        if abs(distillation(g["evidence"], g["prior"]) - g["said"]) > 0.01:
            unknown += 1
            continue
        known += 1
        for name, _, nats in g["evidence"]:
            if nats > 0:
                groups_lost, accounts = lost.setdefault(name, (0, 0))
                if distillation(g["evidence"], g["prior"], name) < threshold:
                    lost[name] = (groups_lost + 1, accounts + g["of_any"])
    return known, unknown, lost
