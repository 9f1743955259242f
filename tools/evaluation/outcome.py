"""One run's verdicts against its truth: plain counts as JSON, which the report adds up over runs."""
import bisect
import collections
import csv

import metrics
from truth import language_of
from verdicts import POINTS, Verdicts

ACT = "step_up"  # flagged: advice of step-up verification or higher


def kind_of(row):
    return row["kind"] + (" (allow-listed)" if row.get("allowed") else "")


def by_kind(truth, flagged):
    """{kind: [accounts, flagged]} of accounts of no campaign."""
    kinds = {}
    for key_id, row in truth.accounts.items():
        if row["campaign"] is None:
            count = kinds.setdefault(kind_of(row), [0, 0])
            count[0] += 1
            count[1] += key_id in flagged
    return kinds


def age_of(row, last):
    days = (int(last[:4]) - int(row["created"][:4])) * 365 + (int(last[5:7]) - int(row["created"][5:7])) * 30 + int(last[8:10]) - int(row["created"][8:10])
    return next((name for limit, name in ((30, "under 30 days"), (180, "30 to 180 days")) if days < limit), "older")


def strata(truth, flagged, shared=None):
    """{what: {stratum: {"benign": [accounts, flagged], "campaign": ...}}}, as far as the truth and the recording know it: the language
    by kind, the address where `shared` names the accounts behind one that several owners use."""
    last = max(row["last"] for row in truth.accounts.values())
    found = {}
    for key_id, row in truth.accounts.items():
        if row.get("allowed"):
            continue
        mine = {"age": age_of(row, last), "dialect": row.get("api", "unknown"),
                "language": language_of(row["kind"])}
        if shared is not None:
            mine["address"] = "shared by several owners" if key_id in shared else "own"
        for what, stratum in mine.items():
            count = found.setdefault(what, {}).setdefault(stratum, {}).setdefault("benign" if row["campaign"] is None else "campaign", [0, 0])
            count[0] += 1
            count[1] += key_id in flagged
    return found


def majority(truth, accounts):
    """(campaign, its accounts among these) of the campaign with most; (None, 0) without any."""
    counts = collections.Counter(c for c in map(truth.campaign_of, accounts) if c)
    return counts.most_common(1)[0] if counts else (None, 0)


def first_verdict(name, truth, verdicts):
    """When a verdict at step-up or higher first held mostly this campaign's accounts; None: never."""
    for v in verdicts.every:
        campaign, count = majority(truth, v.accounts)
        if v.at_least(ACT) and campaign == name and 2 * count > len(v.accounts):
            return v.time_ns
    return None


def campaign_row(name, truth, verdicts, flagged, ever, asked):
    members = truth.campaigns[name]
    groups = [set(v.accounts) for v in verdicts.live if v.at_least(ACT)]
    first_time = first_verdict(name, truth, verdicts)
    row = {
        "campaign": name, "type": truth.type_of[name], "accounts": len(members), "harvest": truth.harvest[name],
        "flagged": {p: len(members & flagged[p].keys()) for p in POINTS}, "ever": len(members & ever),
        "found_90": metrics.is_found(groups, members, 90), "found_50": metrics.is_found(groups, members, 50),
        "verdict": first_time is not None, "exposure_first": None, "exposure_80": None, "requests_when_grouped": []}
    if asked is None:
        return row
    times = asked.harvest_times(members)
    listed_of = {}  # by verdict's campaign id, as listed last
    for v in verdicts.every:
        listed_of[v.campaign_id] = v.accounts.keys() & members if v.at_least(ACT) and not v.gone else set()
        if 10 * len(set().union(*listed_of.values())) >= 8 * len(members):
            row["exposure_80"] = bisect.bisect_right(times, v.time_ns) / len(times) if times else None
            break
    if first_time is not None and times:
        row["exposure_first"] = bisect.bisect_right(times, first_time) / len(times)
    first = {}
    for v in verdicts.every:
        for a in v.accounts.keys() & members if v.at_least(ACT) else ():
            first.setdefault(a, v.time_ns)
    row["requests_when_grouped"] = sorted(asked.before(a, t) for a, t in first.items())
    return row


def group_row(v, truth):
    """A live verdict: what it said, of how many accounts, and how many were of its campaign, of any, of none."""
    campaign, count = majority(truth, v.accounts)
    of_any = sum(truth.campaign_of(a) is not None for a in v.accounts)
    kinds = collections.Counter(kind_of(truth.accounts[a]) for a in v.accounts if a in truth.accounts)
    return {"rung": v.rung, "reason": v.reason, "failed_checks": v.failed_checks, "said": round(v.said, 4), "prior": v.prior, "evidence": v.evidence, "accounts": len(v.accounts), "campaign": campaign,
            "of_it": count, "of_any": of_any, "kinds": dict(kinds.most_common(4))}


def b_cubed(truth, verdicts, flagged):
    """Over campaign accounts and whoever is flagged."""
    class_of = {a: name for name, members in truth.campaigns.items() for a in members}
    for a in flagged:
        class_of.setdefault(a, ("none", a))
    both = metrics.b_cubed([set(v.accounts) for v in verdicts.live if v.at_least(ACT)], class_of)
    return {"items": len(class_of), "precision": both[0], "recall": both[1]} if both else None


def request_rates(path, truth, asked):
    """Of the remembered requests, by type of campaign and kind: {"harvest": {type: [n, hits]}, "cover": ..., "benign": {kind: ...}}. A
    second in which an account asked both is left out."""
    rates = {"harvest": {}, "cover": {}, "benign": {}}
    with open(path, newline="") as file:
        for line in csv.DictReader(file):
            row = truth.accounts.get(line["account"])
            marks = asked.marks(line["account"], int(line["time_s"])) if row else None
            if marks is None or len(marks) != 1:
                continue
            if row["campaign"] is None:
                count = rates["benign"].setdefault(kind_of(row), [0, 0])
            else:
                count = rates["harvest" if True in marks else "cover"].setdefault(truth.type_of[row["campaign"]], [0, 0])
            count[0] += 1
            count[1] += line["hit"] == "1"
    return rates


def judge(folder, truth, asked, hits_file=None, shared=None):
    """Everything about one policy's replay."""
    verdicts = Verdicts(folder)
    flagged = {p: verdicts.flagged(p) for p in POINTS}
    ever = verdicts.ever(ACT)
    return {
        "benign": {**{p: by_kind(truth, flagged[p]) for p in POINTS}, "ever": by_kind(truth, ever)},
        "strata": strata(truth, flagged[ACT], shared),
        "campaigns": [campaign_row(name, truth, verdicts, flagged, ever, asked) for name in sorted(truth.campaigns)],
        "groups": [group_row(v, truth) for v in verdicts.live],
        "groups_ever": {p: len({v.campaign_id for v in verdicts.every if v.at_least(p)}) for p in POINTS},
        "b_cubed": b_cubed(truth, verdicts, flagged[ACT]),
        "requests": request_rates(hits_file, truth, asked) if hits_file and asked else None,
        "ever_said": verdicts.ever_said(),
        "scores": {a: [rung, round(said, 4), round(score, 2)] for a, (rung, said, score) in sorted(flagged["observe"].items())},
    }
