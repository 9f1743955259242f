"""Adds outcomes up: what the report, the plots, the goals and the floors read."""
import metrics
from truth import language_of, volume_of
from verdicts import RUNGS

ACT = "step_up"


def sections(results):
    """{(scenario, variant): results}, in order of first appearance."""
    found = {}
    for r in results:
        found.setdefault((r["scenario"], r["variant"]), []).append(r)
    return found


def campaigns(results, policy):
    """(result, campaign row) of every campaign."""
    return [(r, c) for r in results for c in r["policies"][policy]["campaigns"]]


def recall_cells(results, policy, point=ACT, of=lambda c: True):
    return [(c["flagged"][point], c["accounts"]) for _, c in campaigns(results, policy) if of(c)]


def benign_cells(results, policy, point=ACT, kind=None):
    """A cell for each kind of each run: kinds of a run share what made them be flagged."""
    return [(hit, n) for r in results for k, (n, hit) in r["policies"][policy]["benign"][point].items()
            if (k == kind if kind else not k.endswith("(allow-listed)"))]


def kinds(results):
    return sorted({k for r in results for p in r["policies"].values() for k in p["benign"]["observe"]})


def types(results):
    return sorted({c["type"] for r in results for p in r["policies"].values() for c in p["campaigns"]}, key=lambda t: (len(t), t))


def by_seed(results, policy, cells_of):
    """share() of each seed's runs."""
    seeds = sorted({r["seed"] for r in results})
    shares = [metrics.share(cells_of([r for r in results if r["seed"] == s], policy)) for s in seeds]
    return [s for s in shares if s is not None]


def groups(results, policy, point=ACT):
    return [g for r in results for g in r["policies"][policy]["groups"] if g["rung"] >= RUNGS.index(point)]


def precision_cells(results, policy, purity_percent, point=ACT):
    """A cell for each run: live groups of the rung that one campaign fills to the purity, of all such groups."""
    cells = []
    for r in results:
        mine = groups([r], policy, point)
        cells.append((sum(100 * g["of_it"] >= purity_percent * g["accounts"] for g in mine), len(mine)))
    return cells


def calibration_pairs(results, policy):
    """(said, whether of a campaign) of every account that a live verdict lists, observe included."""
    return [(g["said"], i < g["of_any"]) for g in groups(results, policy, "observe") for i in range(g["accounts"])]


def requests(results, policy, label):
    """{type or kind: [n, hits]} of remembered requests: "harvest", "cover" or "benign"."""
    found = {}
    for r in results:
        for name, (n, hits) in ((r["policies"][policy]["requests"] or {}).get(label) or {}).items():
            count = found.setdefault(name, [0, 0])
            count[0] += n
            count[1] += hits
    return found


DIALECTS = {"messages": "anthropic", "generateContent": "gemini", "streamGenerateContent": "gemini"}  # the rest is openai's


def alike_cells(results, policy):
    """(campaign accounts, others) flagged at step-up, a cell for each stratum of a run that holds both: dialect, language and volume, among
    which rewrite.py shuffles."""
    campaign, others = [], []
    for r in results:
        strata = {}
        for a, (kind, name, _, requests, _, api) in r["accounts"].items():
            stratum = (DIALECTS.get(api, "openai"), language_of(kind), volume_of(requests))
            cell = strata.setdefault(stratum, ([0, 0], [0, 0]))[0 if name else 1]
            cell[0] += r["policies"][policy]["scores"].get(a, [0])[0] >= RUNGS.index(ACT)
            cell[1] += 1
        for of_campaign, of_none in strata.values():
            if of_campaign[1] and of_none[1]:
                campaign.append(tuple(of_campaign))
                others.append(tuple(of_none))
    return campaign, others


def alike_share(campaign, others):
    """The share of others flagged, their strata weighted as the campaigns' accounts lie in them: what campaign accounts are held against."""
    n = sum(cell[1] for cell in campaign)
    return sum(mine[1] * hit / size for mine, (hit, size) in zip(campaign, others)) / n if n else None


def verdicts_for(results, policy, exchanges):
    """Verdicts at step-up or higher for so many exchanges of such traffic."""
    n = sum(r["totals"]["requests"] for r in results)
    return len(groups(results, policy)) * exchanges / n if n else None


def baseline_counts(results, method, threshold, kind=None):
    """(recall cells, benign cells) of a baseline under a frozen threshold; `kind`: recall of campaigns of that type only."""
    recall, benign = [], []
    for r in results:
        scores = r["baselines"].get(method)
        if scores is None:
            continue
        cells = {}
        for a, (of, campaign, *_) in r["accounts"].items():
            if of.endswith("(allow-listed)") or campaign and kind not in (None, of):
                continue
            count = cells.setdefault((campaign, "" if campaign else of), [0, 0])
            count[0] += scores.get(a, 0.0) > threshold
            count[1] += 1
        for (campaign, _), count in cells.items():
            (recall if campaign else benign).append(tuple(count))
    return recall, benign


def policies(results):
    return list(results[0]["policies"]) if results else []
