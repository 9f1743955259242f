#!/usr/bin/python3
"""Would an existing method have found it? Scores every account of recorded exchanges with published detectors and
prints what each finds.

  tools/evaluation/run_baselines.py --exchanges FILE... --truth FILE... [--apply FILE... --apply-truth FILE...]
                                    [--methods rate,mmd] [--grid] [--out FILE.json]

A threshold lets through no more than the rate asked of the benign accounts of the files it is chosen on. It is chosen on --exchanges and
applied frozen to --apply. Without --apply each file is judged under thresholds chosen on the others; a single file has no
others, and its row says "own". Rates are realised ones: benign accounts of the judged files above the frozen threshold. Accounts on the
allow-list (authorised distillers) count on neither side. AUC is the mean over files. --grid tries every parameter set of each method's GRID
in place of its defaults, best first by mean recall at the two rates on --exchanges, each where its realised rate is at most three times
what was asked.

Needs python3-numpy, python3-scipy, python3-networkx and python3-xxhash of Debian. Stops with 2 where a file cannot be used.
"""
import argparse
import json
import sys
import time

try:
    import numpy as np
    import scipy.stats

    import exchanges
    from baselines import METHODS
    from metrics import threshold
    from truth import ACCOUNT_KEY, key_id_of
except ImportError as missing:
    sys.exit(f"run_baselines.py: {missing}; install python3-numpy python3-scipy python3-networkx python3-xxhash and run it with /usr/bin/python3")

RATES = (1e-2, 1e-3)


def labels_of(truth, account_key=ACCOUNT_KEY):
    """Kind of the account of each id, and whether it is of a campaign; accounts on the allow-list are left out."""
    return {key_id_of(a, account_key): (a["kind"], a["campaign"] is not None) for a in truth["accounts"] if not a.get("allowed")}


class Run:
    """A file of exchanges and who is what in it."""

    def __init__(self, path, truth_path):
        self.exchanges = exchanges.read(path)
        with open(truth_path) as file:
            labels = labels_of(json.load(file))
        self.ids = [i for i in self.exchanges.account_ids if i in labels]
        if not self.ids:
            raise exchanges.BadFile(f"{path}: none of its accounts is in {truth_path}: of another world, or another account key")
        self.kind = np.array([labels[i][0] for i in self.ids])
        self.campaign = np.array([labels[i][1] for i in self.ids])

    def scores(self, module, parameters):
        begin = time.process_time()
        found = module.scores(self.exchanges, **parameters)
        return np.array([found[i] for i in self.ids]), time.process_time() - begin


def auc(scores, campaign):
    positives = int(campaign.sum())
    negatives = len(campaign) - positives
    if not positives or not negatives:
        return None
    ranks = scipy.stats.rankdata(scores)
    return float((ranks[campaign].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def benign_of(runs):
    return np.concatenate([scores[~campaign] for scores, campaign, _ in runs])


def judge(chosen, applied):
    """Recall and realised rate under frozen thresholds. Both: lists of (scores, campaign, kind); a file in both is judged by the others."""
    points = []
    for rate in RATES:
        caught = members = wrong = innocents = 0
        kinds = {}
        for scores, campaign, kind in applied:
            others = [run for run in chosen if run[0] is not scores] or chosen
            cut = threshold(benign_of(others), rate)
            caught += int((scores[campaign] > cut).sum())
            wrong += int((scores[~campaign] > cut).sum())
            members += int(campaign.sum())
            innocents += int((~campaign).sum())
            for name in np.unique(kind):
                above, of = kinds.get(str(name), (0, 0))
                kinds[str(name)] = (above + int((scores[kind == name] > cut).sum()), of + int((kind == name).sum()))
        points.append({"asked": rate, "caught": caught, "members": members, "wrong": wrong, "innocents": innocents, "kinds": kinds})
    aucs = [a for a in (auc(scores, campaign) for scores, campaign, _ in applied) if a is not None]
    return {"points": points, "auc": sum(aucs) / len(aucs) if aucs else None}


def measure(module, parameters, choose, apply):
    scored = [run.scores(module, parameters) for run in choose]
    chosen = [(s, run.campaign, run.kind) for (s, _), run in zip(scored, choose)]
    if apply:
        scored = [run.scores(module, parameters) for run in apply]
    applied = [(s, run.campaign, run.kind) for (s, _), run in zip(scored, apply)] if apply else chosen
    result = judge(chosen, applied)
    result.update(parameters=parameters, seconds=sum(t for _, t in scored), own=not apply and len(choose) == 1,
                  thresholds=[threshold(benign_of(chosen), r) for r in RATES],
                  scores=[dict(zip(run.ids, s.tolist())) for (s, _), run in zip(scored, apply or choose)])
    return result


def recall(point):
    return point["caught"] / point["members"] if point["members"] else 0.0


def worth(result):
    """Mean recall where the realised rate is about what was asked: for ranking parameters."""
    honest = [recall(p) for p in result["points"] if p["wrong"] <= 3 * max(1, p["asked"] * p["innocents"])]
    return sum(honest) / len(RATES)


def table(rows):
    lines = ["| method | " + " | ".join(f"recall at {r:g} asked | benign flagged" for r in RATES) + " | AUC | s |",
             "|---|" + "---|" * (2 * len(RATES) + 2)]
    for name, result in rows:
        cells = []
        for p in result["points"]:
            cells += [f"{100 * recall(p):.1f} % ({p['caught']} of {p['members']})",
                      f"{p['wrong']} of {p['innocents']} ({p['wrong'] / max(1, p['innocents']):.1e})"]
        cells += ["-" if result["auc"] is None else f"{result['auc']:.3f}", f"{result['seconds']:.1f}"]
        lines.append(f"| {name}{' (own)' if result['own'] else ''} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def table_of_kinds(rows, runs):
    """Of each kind of account, the share above the threshold of the higher rate."""
    campaigns = sorted({str(k) for run in runs for k in run.kind[run.campaign]}, key=lambda k: (len(k), k))
    lines = [f"Flagged at {RATES[0]:g} asked, by campaign type; then the benign kinds flagged most.", "",
             "| method | " + " | ".join(campaigns) + " | benign |", "|---|" + "---|" * (len(campaigns) + 1)]
    for name, result in rows:
        kinds = result["points"][0]["kinds"]
        benign = sorted((k for k in kinds if k not in campaigns and kinds[k][0]), key=lambda k: -kinds[k][0])
        lines.append(f"| {name} | " + " | ".join(f"{kinds[k][0]} of {kinds[k][1]}" for k in campaigns) +
                     " | " + ", ".join(f"{k} {kinds[k][0]} of {kinds[k][1]}" for k in benign[:3]) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exchanges", nargs="+", required=True, metavar="FILE")
    parser.add_argument("--truth", nargs="+", required=True, metavar="FILE")
    parser.add_argument("--apply", nargs="+", default=[], metavar="FILE")
    parser.add_argument("--apply-truth", nargs="+", default=[], metavar="FILE")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--grid", action="store_true")
    parser.add_argument("--out", help="JSON with thresholds and the score of every account")
    given = parser.parse_args()
    names = given.methods.split(",")
    if len(given.exchanges) != len(given.truth) or len(given.apply) != len(given.apply_truth):
        parser.error("give one truth for each file of exchanges, in the same order")
    if unknown := [n for n in names if n not in METHODS]:
        parser.error(f"no method {', '.join(unknown)}; there are {', '.join(METHODS)}")
    try:
        choose = [Run(*pair) for pair in zip(given.exchanges, given.truth)]
        apply = [Run(*pair) for pair in zip(given.apply, given.apply_truth)]
    except (exchanges.BadFile, OSError, json.JSONDecodeError) as error:
        print(f"run_baselines.py: {error}", file=sys.stderr)
        sys.exit(2)
    rows = []
    for name in names:
        tried = [measure(METHODS[name], p, choose, apply) for p in (METHODS[name].GRID if given.grid else [{}])]
        if given.grid:
            tried.sort(key=worth, reverse=True)
        rows += [(name + "".join(f" {k}={v}" for k, v in r["parameters"].items()), r) for r in tried]
    print(table(rows) + "\n\n" + table_of_kinds(rows, apply or choose))
    if given.out:
        with open(given.out, "w") as file:
            json.dump({"files": given.apply or given.exchanges, "methods": dict(rows)}, file)
            file.write("\n")


if __name__ == "__main__":
    main()
