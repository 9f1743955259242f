"""Thresholds chosen on development seeds and kept: of the two policies and of the baselines."""
import json
import os
import re

import metrics
from verdicts import RUNGS

HERE = os.path.dirname(os.path.abspath(__file__))
PATH = os.path.join(HERE, "frozen.json")
RATES = {"1e-3": 1e-3, "1e-4": 1e-4}
# One family of evidence says at most one half (docs/detection.md), and two are asked for above observe: no sample lowers a threshold below that.
PERMILLE_MIN = 501


def load():
    """What is frozen; each part may be missing yet."""
    kept = {"policies": {}, "baselines": {}}
    if os.path.exists(PATH):
        with open(PATH) as file:
            kept.update(json.load(file))
    kept["baselines"].setdefault("methods", {})
    return kept


def save(kept):
    with open(PATH, "w") as file:
        json.dump(kept, file, indent=1)
        file.write("\n")


def benign(result, left_out=None):
    """Accounts that count as false positives when flagged; `left_out`: a kind that is not looked at."""
    return [a for a, (kind, campaign, *_) in result["accounts"].items() if not campaign and not kind.endswith("(allow-listed)") and kind != left_out]


def permille_of(results, policy, rung, rate, left_out=None):
    """The lowest threshold in 1/1000, and above one half, under which at most `rate` of the benign accounts stand in verdicts of the rung, at any
    time: who is spared at the end was advised against meanwhile. `results` were replayed with both thresholds at their lowest. None: even 999
    flags more."""
    said, n = [], 0
    for result in results:
        ever = result["policies"][policy]["ever_said"]
        for account in benign(result, left_out):
            n += 1
            if ever.get(account, (0, 0))[RUNGS.index(rung) - 1] > 0:
                said.append(int(ever[account][RUNGS.index(rung) - 1] * 1000))
    allowed = int(rate * n + 1e-9)
    for permille in range(PERMILLE_MIN, 1000):
        if sum(s >= permille for s in said) <= allowed:
            return permille
    return None


def thresholds(results):
    """{baseline: {rate: threshold}}: of each the lowest score that no more of the benign accounts exceed."""
    scores = {}
    for result in results:
        for method, found in result["baselines"].items():
            scores.setdefault(method, []).extend(found.get(a, 0.0) for a in benign(result))
    return {m: {name: metrics.threshold(s, rate) for name, rate in RATES.items()} for m, s in scores.items()}


def enough(results, rate):
    """Whether so many benign accounts could show the rate at all: none flagged of n is below 3 / n."""
    return metrics.bound_of_zero(sum(len(benign(r)) for r in results)) <= rate


def ladder(step, throttle):
    """The thresholds of a policy file, rising; None: no threshold keeps the rate. The rungs above throttle stay at their defaults or go up with it."""
    step = min(step or 999, 999)
    throttle = min(max(step, throttle or 999, 950), 999)
    return {"step_up_permille": step, "throttle_permille": throttle, "degrade_permille": max(throttle, 970), "block_permille": max(throttle, 990)}


def freeze(results, policy, command):
    """Writes frozen.json, baselines as they are, and the thresholds of both policy files. Step-up at the policy's rate, throttle at a tenth of it and never
    below step-up nor below the default's 950; the rungs above never below throttle."""
    kept = {"command": command, "benign_accounts": sum(len(benign(r)) for r in results), "policies": {}, "baselines": load()["baselines"]}
    for name, rate in RATES.items():
        step = permille_of(results, policy, "step_up", rate)
        throttle = permille_of(results, policy, "throttle", rate / 10)
        chosen = {**ladder(step, throttle),
                  "reached": {"step_up": step is not None, "throttle": throttle is not None},
                  "enough_accounts": {"step_up": enough(results, rate), "throttle": enough(results, rate / 10)}}
        kept["policies"][name] = chosen
        path = os.path.join(HERE, "policies", name + ".toml")
        with open(path) as file:
            text = file.read()
        for key in ladder(step, throttle):
            text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {chosen[key]}", text)
        with open(path, "w") as file:
            file.write(text)
    save(kept)
    return kept


def freeze_baselines(results, parameters, command):
    """Writes the thresholds of baselines into frozen.json, policies as they are. `parameters`: {method: those it was run with}."""
    kept = load()
    found = thresholds(results)
    kept["baselines"] = {"command": command, "benign_accounts": sum(len(benign(r)) for r in results), "enough_accounts": {name: enough(results, rate) for name, rate in RATES.items()},
                         "methods": {m: {"parameters": parameters[m], "thresholds": found[m]} for m in found}}
    save(kept)
    return kept


def flagged_at(result, policy, permille, accounts, rung="step_up"):
    """How many of the accounts stand in a live verdict of the rung from so much probability on."""
    scores = result["policies"][policy]["scores"]
    return sum(a in scores and scores[a][0] >= RUNGS.index(rung) and permille is not None and int(scores[a][1] * 1000) >= permille for a in accounts)


def ever_at(result, policy, permille, accounts, rung="step_up"):
    """How many stood in such a verdict at any time."""
    ever = result["policies"][policy]["ever_said"]
    return sum(permille is not None and int(ever.get(a, (0, 0))[RUNGS.index(rung) - 1] * 1000) >= permille for a in accounts)


def benign_at(results, policy, permille, kind=None, count=ever_at, rung="step_up"):
    """Cells [(flagged, accounts)], one for each kind of each run: at any time, or with `count` flagged_at at the end."""
    cells = []
    for result in results:
        kinds = {}
        for a in benign(result):
            kinds.setdefault(result["accounts"][a][0], []).append(a)
        cells += [(count(result, policy, permille, accounts, rung), len(accounts)) for k, accounts in sorted(kinds.items()) if kind in (None, k)]
    return cells


def recall_at(results, policy, permille, kind=None, rung="step_up"):
    """Cells [(flagged, accounts)], one for each campaign."""
    cells = []
    for result in results:
        campaigns = {}
        for a, (of, name, *_) in result["accounts"].items():
            if name and kind in (None, of):
                campaigns.setdefault(name, []).append(a)
        cells += [(flagged_at(result, policy, permille, accounts, rung), len(accounts)) for _, accounts in sorted(campaigns.items())]
    return cells


def types_of(result):
    return {kind for kind, campaign, *_ in result["accounts"].values() if campaign}


def left_out(chosen, judged, policy, rate):
    """Leave one kind out: [(kind, whether it is a campaign's, threshold chosen without it, cells of its own accounts, cells of innocents in its runs)].
    `chosen`: runs that the threshold is read off; without a campaign's kind means without its runs. `judged`: others."""
    kinds = sorted({result["accounts"][a][0] for result in judged for a in benign(result)})
    types = sorted(set().union(*(types_of(result) for result in judged)), key=lambda t: (len(t), t))
    rows = []
    for kind in kinds:
        permille = permille_of(chosen, policy, "step_up", rate, kind)
        rows.append((kind, False, permille, benign_at(judged, policy, permille, kind), benign_at(judged, policy, permille)))
    for kind in types:
        permille = permille_of([r for r in chosen if kind not in types_of(r)], policy, "step_up", rate)
        runs = [r for r in judged if kind in types_of(r)]
        rows.append((kind, True, permille, recall_at(runs, policy, permille, kind), benign_at(runs, policy, permille)))
    return rows
