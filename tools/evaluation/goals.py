"""The goals set for detection, held against results: met, missed, or not shown where the sample cannot prove it."""
import metrics
import summary
from verdicts import RUNGS

MET, MISSED, NOT_SHOWN = "met", "missed", "not shown"
ENOUGH = 20  # campaigns, before a comparison of them is shown
SHARE_MIN = 0.1  # of a world, below which a share of its harvest says nothing of the whole
QUIET_ACCOUNTS = 290_000  # of 300,000, not every one asks in a day
HARD = {"t2": "paraphrase", "t8": "languages"}


def percent(value):
    return "none" if value is None else f"{100 * value:.1f} %"


def rated(cells):
    """A rate with its 95 % interval, for people."""
    n = sum(n for _, n in cells)
    if not n:
        return "no data"
    hits, value, within = sum(h for h, _ in cells), metrics.share(cells), metrics.interval(cells)
    if not hits:
        return f"0 of {n}, below {within[1]:.1e}"
    small = f"{value:.1e}" if value < 0.01 else f"{100 * value:.1f} %"
    if within is None:
        return f"{hits} of {n}, {small}"
    low, high = (f"{x:.1e}" if value < 0.01 else f"{100 * x:.1f}" for x in within)
    return f"{hits} of {n}, {small} [{low}, {high}]"


def at_least(cells, goal):
    """Met when the whole interval is at or above, missed when the rate is below."""
    value, within = metrics.share(cells), metrics.interval(cells)
    if value is None:
        return NOT_SHOWN
    if value < goal:
        return MISSED
    return MET if within is not None and within[0] >= goal else NOT_SHOWN


def at_most(cells, goal):
    value, within = metrics.share(cells), metrics.interval(cells)
    if value is None:
        return NOT_SHOWN
    if value > goal:
        return MISSED
    return MET if within is not None and within[1] <= goal else NOT_SHOWN


def both(*verdicts):
    return MISSED if MISSED in verdicts else NOT_SHOWN if NOT_SHOWN in verdicts else MET


def recall_at(results, policy, goal, rate, of):
    """(what was measured, verdict): recall of campaigns, at a realised rate of false positives in the same runs."""
    runs = [r for r in results if any(of(r, c) for c in r["policies"][policy]["campaigns"])]
    recall = [(c["flagged"][summary.ACT], c["accounts"]) for r, c in summary.campaigns(runs, policy) if of(r, c)]
    benign = summary.benign_cells(runs, policy)
    if not recall:
        return "not run", NOT_SHOWN
    return f"recall {rated(recall)}; realised FPR {rated(benign)}", both(at_least(recall, goal), at_most(benign, rate))


def per_account(result, row):
    return row["harvest"] / row["accounts"]


def covered(result, row):
    """Benign for each harvesting exchange, on the accounts of this run's campaigns."""
    return result["totals"]["cover"]


def campaign_goal(results, policy, recall, precision):
    large = [(r, c) for r, c in summary.campaigns(results, policy) if c["accounts"] >= 50]
    if not large:
        return "not run", NOT_SHOWN
    found = [(int(c["found_90"]), 1) for _, c in large]
    pure = summary.precision_cells(results, policy, 90)
    return f"found {rated(found)}; groups that are 90 % one campaign {rated(pure)}", both(at_least(found, recall), at_least(pure, precision))


def played_share(result, policy):
    """Of the world that a goal asks for: made smaller, or one account in so many of it judged."""
    return result.get("share", 1) / result.get("played", {}).get(policy, {}).get("sample", 1)


def exposure_goal(results, policy, low, high, goal):
    """Of campaigns that would harvest so many exchanges in a whole world."""
    rows = [(c, played_share(r, policy)) for r, c in summary.campaigns(results, policy) if low <= c["harvest"] / played_share(r, policy) < high]
    if not rows:
        return "not run", NOT_SHOWN
    # A campaign without a verdict is exposed whole.
    shares = [1.0 if c["exposure_first"] is None else c["exposure_first"] for c, _ in rows]
    middle, worst, least = metrics.median(shares), metrics.worst_tenth(shares, low_is_bad=False), min(played for _, played in rows)
    verdict = NOT_SHOWN if least < SHARE_MIN else MISSED if middle > goal else MET if worst <= goal and len(shares) >= ENOUGH else NOT_SHOWN
    return f"median {percent(middle)}, worst tenth {percent(worst)} of {len(rows)} campaigns" + (f", of which {least:g} was played" if least < 1 else ""), verdict


def quiet_goal(results, policy, point):
    """Groups at any time, of the largest population without a campaign."""
    runs = [r for r in results if not r["policies"][policy]["campaigns"]]
    if not runs:
        return "not run", NOT_SHOWN
    accounts = max(r["totals"]["accounts"] for r in runs)
    largest = [r["policies"][policy] for r in runs if r["totals"]["accounts"] == accounts]
    ever, last = sum(p["groups_ever"][point] for p in largest), sum(g["rung"] >= RUNGS.index(point) for p in largest for g in p["groups"])
    return f"{ever} groups at {point.replace('_', '-')} at any time ({last} at the end), {accounts} accounts", MISSED if ever else MET if accounts >= QUIET_ACCOUNTS else NOT_SHOWN


def look_alike_goal(results, policy):
    """Each kind below 1e-3 at throttle; the worst is named."""
    rows = []
    for kind in summary.kinds(results):
        cells = summary.benign_cells(results, policy, "throttle", kind)
        if not kind.endswith("(allow-listed)"):
            rows.append((metrics.share(cells) or 0, kind, cells, at_most(cells, 1e-3)))
    if not rows:
        return "not run", NOT_SHOWN
    _, kind, cells, _ = max(rows, key=lambda row: row[0])
    wrong = sum(row[3] == MISSED for row in rows)
    unproven = sum(row[3] == NOT_SHOWN for row in rows)
    worst = f"; worst {kind}: {rated(cells)}" if wrong else ""
    return f"{len(rows) - wrong - unproven} kinds shown, {unproven} with too few accounts to show it, {wrong} above{worst}", both(*(row[3] for row in rows))


def robustness_goal(results, policy, kind, goal):
    """Recall lost against T1 in the same preset."""
    base = summary.recall_cells(results, policy, of=lambda c: c["type"] == "t1")
    hard = summary.recall_cells(results, policy, of=lambda c: c["type"] == kind)
    if not base or not hard:
        return "not run", NOT_SHOWN
    lost = metrics.share(base) - metrics.share(hard)
    verdict = MISSED if lost > goal else MET if min(len(base), len(hard)) >= ENOUGH else NOT_SHOWN
    return f"T1 {percent(metrics.share(base))}, {kind.upper()} {percent(metrics.share(hard))}: {100 * lost:.1f} points", verdict


def table(results, policy):
    """[(what, goal, measured, verdict)]: "at least" and "the aim"."""
    no_cover = lambda r, c: covered(r, c) < 0.01
    twenty = lambda r, c: 15 <= covered(r, c) < 40 and per_account(r, c) * (1 + covered(r, c)) <= 330
    slow = lambda r, c: c["type"] == "t6" and c["accounts"] >= 2000
    rows = [
        ("account recall, no cover", "90 % at FPR 1e-3", *recall_at(results, policy, 0.9, 1e-3, no_cover)),
        ("... the aim", "95 % at 1e-4", *recall_at(results, policy, 0.95, 1e-4, no_cover)),
        ("cover 20, at most about 300 requests an account", "60 % at FPR 1e-3", *recall_at(results, policy, 0.6, 1e-3, twenty)),
        ("... the aim", "80 % at 1e-4", *recall_at(results, policy, 0.8, 1e-4, twenty)),
        ("low and slow: 16 requests an account, 2,400 accounts", "70 %", *recall_at(results, policy, 0.7, 1e-3, slow)),
        ("... the aim", "90 %", *recall_at(results, policy, 0.9, 1e-3, slow)),
        ("campaigns of 50 accounts or more: recall, precision", "90 %, 95 %", *campaign_goal(results, policy, 0.9, 0.95)),
        ("... the aim", "98 %, 95 %", *campaign_goal(results, policy, 0.98, 0.95)),
        ("exposure at the first verdict, about 100,000 exchanges", "10 %", *exposure_goal(results, policy, 50_000, 200_000, 0.1)),
        ("... the aim", "5 %", *exposure_goal(results, policy, 50_000, 200_000, 0.05)),
        ("... of 28.8 million", "0.5 %", *exposure_goal(results, policy, 20_000_000, 10**12, 0.005)),
        ("quiet population of 300,000 accounts", "0 groups at throttle, at any time", *quiet_goal(results, policy, "throttle")),
        ("... the aim", "0 at step-up", *quiet_goal(results, policy, "step_up")),
        ("each look-alike kind at throttle", "FPR 1e-3", *look_alike_goal(results, policy)),
    ]
    for kind, goal, aim in (("t2", 0.25, 0.15), ("t8", 0.35, 0.25)):
        rows.append((f"recall lost under {HARD[kind]}", f"{100 * goal:.0f} points", *robustness_goal(results, policy, kind, goal)))
        rows.append(("... the aim", f"{100 * aim:.0f} points", *robustness_goal(results, policy, kind, aim)))
    return rows
