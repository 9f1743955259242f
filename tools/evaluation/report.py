"""The report as Markdown, and the scores of every account."""
import csv

import ablation
import frozen
import goals
import metrics
import summary
from goals import percent, rated
from verdicts import POINTS

PREVALENCES = (1e-2, 1e-3, 1e-4)
CONTROLS = {"vocabulary": 0.02, "no-parameters": None, "no-timing": None, "own timing": None, "own parameters,timing": None}  # how far recall may move
TOO_EASY = 0.99  # as in features.py, which needs numpy
NAMES = {"observe": "observe", "step_up": "step-up", "throttle": "throttle"}


def table(head, rows):
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]) + "\n"


def number(value, digits=2):
    return "-" if value is None else f"{value:.{digits}f}"


def precision_at(recall_cells, benign_cells, prevalence):
    recall, rate = metrics.share(recall_cells), metrics.share(benign_cells)
    if recall is None or rate is None:
        return "-"
    if rate == 0:  # nobody was flagged: what the bound allows
        worst = metrics.reweighted_precision(recall, metrics.bound_of_zero(sum(n for _, n in benign_cells)), prevalence)
        return "nothing flagged" if not worst else f"at least {percent(worst)}"
    return percent(metrics.reweighted_precision(recall, rate, prevalence))


def goal_table(results):
    rows = []
    for policy in summary.policies(results):
        rows += [[policy, *row] for row in goals.table(results, policy)]
    return "## Goals\n\n*met*: the 95 % interval is on the right side; *missed*: the figure is on the wrong one; *not shown*: not run, or too small a sample to say.\n\n" + \
        table(["policy", "what", "at least", "measured", ""], [[p, w, g, m, f"**{v}**"] for p, w, g, m, v in rows])


def operating_points(results):
    rows = []
    for policy in summary.policies(results):
        for point in POINTS:
            recall, benign = summary.recall_cells(results, policy, point), summary.benign_cells(results, policy, point)
            rows.append([policy, NAMES[point], rated(recall), rated(benign), *(precision_at(recall, benign, p) for p in PREVALENCES)])
    return "## Operating points\n\nAll runs together: account recall, realised account FPR, and precision where campaign accounts were so large a share.\n\n" + \
        table(["policy", "point", "account recall", "realised FPR", *(f"precision at {p:g}" for p in PREVALENCES)], rows)


def campaign_types(results, policy):
    rows = []
    harvest = summary.requests(results, policy, "harvest")
    for kind in summary.types(results):
        of = lambda c: c["type"] == kind
        mine = [c for _, c in summary.campaigns(results, policy) if of(c)]
        seeds = summary.by_seed(results, policy, lambda rs, p: summary.recall_cells(rs, p, of=of))
        first = [c["exposure_first"] for c in mine if c["exposure_first"] is not None]
        most = [c["exposure_80"] for c in mine if c["exposure_80"] is not None]
        asked = [n for c in mine for n in c["requests_when_grouped"]]
        n, hits = harvest.get(kind, (0, 0))
        rows.append([kind.upper(), *(rated(summary.recall_cells(results, policy, p, of)) for p in POINTS),
                     f"{number(metrics.median(seeds))}; {number(metrics.worst_tenth(seeds))}",
                     f"{sum(c['found_90'] for c in mine)}, {sum(c['found_50'] for c in mine)} of {len(mine)}",
                     f"{number(metrics.median(first))} ({len(first)}); {number(metrics.median(most))} ({len(most)})",
                     f"{metrics.median(asked):g}; {metrics.percentile(asked, 95):g}" if asked else "-", f"{hits / n:.2f} of {n}" if n else "-"])
    if not rows:
        return ""
    return table(["campaign", "accounts at observe", "step-up", "throttle", "step-up by seed: median; worst tenth", "found at 90 %, 50 % purity",
                  "share harvested at the first verdict; at 80 % of accounts (campaigns)", "requests when grouped: median; p95", "q"], rows)


def benign_kinds(results, policy):
    rows = []
    matched = summary.requests(results, policy, "benign")
    for kind in summary.kinds(results):
        n, hits = matched.get(kind, (0, 0))
        rows.append([kind, *(rated(summary.benign_cells(results, policy, p, kind)) for p in [*POINTS, "ever"]), rated([(hits, n)]) if n else "-"])
    seeds = summary.by_seed(results, policy, summary.benign_cells)
    rows.append(["**all but allow-listed**", *(rated(summary.benign_cells(results, policy, p)) for p in [*POINTS, "ever"]), ""])
    text = table(["benign kind", "accounts at observe", "step-up", "throttle", "step-up at any time", "b"], rows)
    if seeds:
        text += f"\nFPR at step-up by seed: median {metrics.median(seeds):.1e}, worst tenth {metrics.worst_tenth(seeds, low_is_bad=False):.1e} of {len(seeds)} seeds.\n"
    return text


def groups(results, policy):
    lines = []
    for point in ("step_up", "throttle"):
        cells = {p: summary.precision_cells(results, policy, p, point) for p in (90, 50)}
        lines.append(f"- groups at {NAMES[point]}: 90 % of one campaign {rated(cells[90])}; 50 % {rated(cells[50])}")
    cubed = [r["policies"][policy]["b_cubed"] for r in results if r["policies"][policy]["b_cubed"]]
    items = sum(b["items"] for b in cubed)
    if items:
        precision, recall = (sum(b[k] * b["items"] for b in cubed) / items for k in ("precision", "recall"))
        lines.append(f"- B-cubed over campaign accounts and whoever is flagged: precision {precision:.3f}, recall {recall:.3f}, F1 {2 * precision * recall / (precision + recall):.3f}")
    lines.append(f"- verdicts at step-up for 10^9 requests of such traffic: {summary.verdicts_for(results, policy, 10**9):,.0f}")
    innocent = {}
    for g in summary.groups(results, policy):
        if 2 * g["of_any"] < g["accounts"]:
            names = " and ".join(sorted(g["kinds"], key=lambda k: -g["kinds"][k])[:2])
            innocent[names] = innocent.get(names, 0) + 1
    if innocent:
        lines.append("- groups at step-up that are mostly innocent, by whom they hold: " + ", ".join(f"{k} ({n})" for k, n in sorted(innocent.items(), key=lambda i: -i[1])[:12]))
    pairs = summary.calibration_pairs(results, policy)
    text = "\n".join(lines) + "\n"
    if pairs:
        bins = [[f"{low:g} to {high:g}", str(n), f"{said:.3f}", f"{true:.3f}"] for low, high, n, said, true in metrics.calibration(pairs)]
        text += f"\nCalibration: what verdicts say (distillation_like), by account listed, against how many are of a campaign. Brier score {metrics.brier(pairs):.3f}.\n\n"
        text += table(["said", "accounts", "mean said", "share of campaigns"], bins)
    return text


def strata(results, policy):
    cells = {}
    for r in results:
        for what, found in r["policies"][policy].get("strata", {}).items():
            for stratum, sides in found.items():
                for side, (n, hit) in sides.items():
                    cells.setdefault((what, stratum), {}).setdefault(side, []).append((hit, n))
    if not cells:
        return ""
    overall = metrics.share(summary.benign_cells(results, policy)) or 0
    rows = []
    for (what, stratum), sides in sorted(cells.items()):
        benign = sides.get("benign", [])
        twice = sum(n for _, n in benign) >= 3000 and metrics.share(benign) > 2 * overall
        rows.append([what, stratum, rated(benign), "**yes**" if twice else "no", rated(sides.get("campaign", []))])
    return ("## Strata\n\nFlagged at step-up. *Twice*: 3,000 benign accounts or more, flagged above twice as often as all. Script and payment are not known to stillgen's truth.\n\n" +
            table(["by", "stratum", "benign", "twice", "campaign accounts"], rows))


def layers(results, policy):
    groups = [g for g in summary.groups(results, policy) if "evidence" in g]
    if not groups:
        return ""
    known, unknown, lost = ablation.count(groups, ablation.threshold_of(policy))
    rows = [[name, str(count), str(accounts)] for name, (count, accounts) in sorted(lost.items(), key=lambda item: -item[1][0])]
    return (f"## What each layer adds\n\nOf {known} groups at step-up at the end, worked out again from their verdicts' evidence without one layer"
            f"{f' ({unknown} more come out otherwise than they were said and are left out)' if unknown else ''}. A layer that also proposes groups or members adds more than this says.\n\n" +
            table(["without", "groups that fall below step-up", "campaign accounts in them"], rows))


def single_features(results):
    """Areas under the curve of one feature alone, the median and the most telling run of each."""
    found = {}
    for r in results:
        for name, area in r.get("features", {}).items():
            if area is not None:
                found.setdefault(name, []).append((max(area, 1 - area), f"{r['scenario']} {r['variant']} {r['seed']}".replace("  ", " ")))
    if not found:
        return ""
    rows = []
    for name, areas in sorted(found.items(), key=lambda item: -max(item[1])[0]):
        most, where = max(areas)
        rows.append([name, f"{metrics.median([a for a, _ in areas]):.3f}", f"{most:.3f} ({where})", "**yes**" if most > TOO_EASY else "no"])
    return (f"## One feature alone\n\nArea under the curve between campaign accounts and all others, either way round. Above {TOO_EASY}: the generator is too easy there, whatever uses the feature.\n\n" +
            table(["feature of an account", "median of runs", "most", f"above {TOO_EASY}"], rows))


def variants(results, policy):
    rows = []
    for (scenario, variant), runs in summary.sections(results).items():
        recall, benign = summary.recall_cells(runs, policy), summary.benign_cells(runs, policy)
        totals = [r["totals"] for r in runs]
        rows.append([scenario, variant or "-", str(len(runs)), rated(recall), rated(benign),
                     f"{sum(c['found_90'] for _, c in summary.campaigns(runs, policy))} of {len(summary.campaigns(runs, policy))}",
                     *(f"{min(t[k] for t in totals):.3g} to {max(t[k] for t in totals):.3g}" for k in ("prevalence", "share", "cover"))])
    return "## Runs\n\n" + table(["scenario", "variant", "seeds", "account recall at step-up", "FPR at step-up", "found at 90 %", "prevalence", "share of harvesting", "cover"], rows)


def shuffled(results, policy):
    worlds = {}
    for r in results:
        if r["variant"] == "shuffle":
            worlds.setdefault(r["scenario"], []).append(r)
    if not worlds:
        return ""
    return ("## Exchanges shuffled among accounts\n\nFlagged at step-up, within strata of dialect, language and volume that hold both.\n" +
            "".join(shuffled_world(scenario, runs, policy) for scenario, runs in worlds.items()))


def shuffled_world(scenario, runs, policy):
    campaign, others = summary.alike_cells(runs, policy)
    recall, held_against = metrics.share(campaign), summary.alike_share(campaign, others)
    text = f"\n{scenario}: campaign accounts " + rated(campaign) + "; others " + rated(others)
    if recall is None:
        return text + ".\n"
    said = lambda rate: "holds" if recall < 2 * rate or recall == 0 else "is missed"
    return (text + f". The control as it was asked for (recall below twice the rate of others) **{said(metrics.share(others))}**. Stratum by stratum, others weighted as campaign accounts lie in the strata, {percent(held_against)} "
            f"of others are flagged, and it **{said(held_against)}**: where most of a stratum was a campaign's, its requests are anybody's now, and all who hold them are flagged.\n")


def controls(results, policy):
    """Each rewritten or disguised world of `without` and `headline` beside the same world as it is."""
    seeds = {}
    for r in results:
        seeds.setdefault((r["scenario"], r["seed"]), {}).setdefault(r["variant"], []).append(r)
    pairs = {}
    for found in seeds.values():
        for variant, runs in found.items() if "" in found else ():
            if variant in CONTROLS:
                pairs.setdefault(variant, ([], []))
                pairs[variant][0].extend(found[""])
                pairs[variant][1].extend(runs)
    rows = []
    for variant, (before, after) in pairs.items():
        recalls = [metrics.share(summary.recall_cells(runs, policy)) for runs in (before, after)]
        points = "-" if None in recalls else f"{100 * (recalls[1] - recalls[0]):+.1f}"
        bound = CONTROLS[variant]
        said = "" if bound is None or points == "-" else "**holds**" if abs(recalls[1] - recalls[0]) <= bound else "**is missed**"
        rows.append([variant, rated(summary.recall_cells(before, policy)), rated(summary.recall_cells(after, policy)), points, rated(summary.benign_cells(before, policy)),
                     rated(summary.benign_cells(after, policy)), said])
    if not rows:
        return ""
    return ("## Controls\n\nThe same worlds and seeds as they are and changed, at step-up. *vocabulary*: every word another one, so that no list of words knows any; what is left is layers 1 to 4 and "
            "what needs no words, and must stay within 2 points. The others say how much rests on what is cheap to vary.\n\n" +
            table(["changed", "recall before", "after", "points", "FPR before", "after", "control"], rows))


def in_process(results, policy):
    """What was played without a file, how fast and in how much memory."""
    rows = []
    for r in results:
        p = r.get("played", {}).get(policy)
        if not p:
            continue
        judged = r["policies"][policy]
        evicted = ", ".join(f"{n:,} {name}" for name, n in p["counters"].items() if n) or "none"
        ever = sum(hit for hit, _ in summary.benign_cells([r], policy, "ever"))
        rows.append([f"{r['scenario']} {r['variant']}, {r['seed']}", f"{p['judged']:,} of {p['played']:,}, " + ("whole" if p["sample"] == 1 else f"one account in {p['sample']}") +
                     (f"; {r['share']:g} of the world asked for" if r.get("share", 1) < 1 else ""),
                     f"{p['accounts']:,}; {p['owners']:,}", f"{p['played'] / p['generator_s']:,.0f}", f"{p['judged'] / p['detection_s']:,.0f}; {p['looks']}",
                     f"{p['owners'] * p['hours'] * 3600 / p['detection_s']:,.0f}", f"{p['peak_kib'] / 1024:,.0f}; {(p['peak_kib'] - p['world_kib']) / 1024:,.0f}",
                     "; ".join(str(judged["groups_ever"][point]) for point in POINTS), str(ever), evicted])
    if not rows:
        return ""
    return ("## Played in process\n\nExchanges go from the generator straight into detection, all that comes after sketches, in one thread; a second is one of processor time. *Owners a core*: owners times traffic time, by "
            "detection's time: how many such owners one core follows, as far as its cost grows with owners. *Groups ever*: campaigns that stood at observe; step-up; throttle at any time.\n\n" +
            table(["world, seed", "exchanges judged of played", "accounts; owners", "generator, exchanges/s", "detection, exchanges/s; looks", "owners a core", "peak MiB; less the world",
                   "groups ever", "innocents at step-up ever", "forgotten for want of room"], rows))


def baselines(results, kept):
    """Baselines and detection under thresholds frozen for the same rates, on the runs that baselines scored."""
    scored = [r for r in results if r["baselines"]]
    if not scored:
        return ""
    thresholds = {m: kept["baselines"]["methods"].get(m, {}).get("thresholds") for m in scored[0]["baselines"]}
    rows, parts = [], []
    for rate in frozen.RATES:
        counts = {m: lambda runs, kind=None, m=m, t=t: summary.baseline_counts(runs, m, t[rate], kind) for m, t in thresholds.items() if t}
        if rate in summary.policies(scored):
            counts["**Stillwatch**, step-up"] = lambda runs, kind=None: (summary.recall_cells(runs, rate, of=lambda c: kind in (None, c["type"])), summary.benign_cells(runs, rate, "ever"))
        rows += [[rate, method, *(rated(cells) for cells in of(scored))] for method, of in counts.items()]
        rows += [[rate, method, "no threshold frozen", ""] for method, t in thresholds.items() if not t]
        parts.append(baselines_by_type(scored, rate, counts))
    return ("## Baselines\n\nThresholds for the rate asked were chosen on development seeds, those of policies and of baselines alike (tools/evaluation/frozen.json). Baselines score an account once, at the end of the file; "
            "of Stillwatch innocents count who stood at step-up at any time.\n\n" + table(["rate asked", "method", "account recall", "realised FPR"], rows) + "".join(parts) + baseline_cost(results, scored))


def baselines_by_type(results, rate, counts):
    """Of each campaign type recall, and the rate realised in the runs that hold such campaigns."""
    types = sorted(set().union(*(frozen.types_of(r) for r in results)), key=lambda t: (len(t), t))
    if not counts or not types:
        return ""
    rows = []
    for kind in types:
        runs = [r for r in results if kind in frozen.types_of(r)]
        cells = [of(runs, kind) for of in counts.values()]
        rows.append([kind.upper(), *(f"{percent(metrics.share(recall))}; {false_positives(benign)}" for recall, benign in cells)])
    return f"\nFor {rate}, by campaign type: account recall; FPR realised in its runs.\n\n" + table(["campaign", *counts], rows)


def false_positives(cells):
    rate = metrics.share(cells)
    return "no data" if rate is None else f"{rate:.1e}" if rate else "0"


def baseline_cost(results, scored):
    """What they took beside detection, where a bound left something out, and which worlds nobody scored."""
    spent = lambda what: {name: [r[what][name] for r in scored] for name in scored[0].get(what, {})}
    methods, policies = spent("baseline_s"), spent("detection_s")
    line = lambda costs: ", ".join(f"{name} {metrics.median(s):.1f} ({max(s):.1f})" for name, s in costs.items())
    text = f"\nProcessor seconds a world, the median (the most) of {len(scored)}: {line(methods)}" + (f"; `stillwatch replay`, policy {line(policies)}" if policies else "") + ".\n"
    notes = {}
    for r in scored:
        for note in r["baseline_notes"]:
            notes.setdefault(note, []).append(f"{r['scenario']} {r['variant']} {r['seed']}".replace("  ", " "))
    text += "".join(f"\n- Bounded: {note} ({', '.join(where)})" for note, where in sorted(notes.items())) + "\n" * bool(notes)
    missing = sorted({f"{r['scenario']} {r['variant']}".strip() for r in results if not r["baselines"]})
    if missing:
        text += f"\n**Not scored**: {', '.join(missing)}. They are played without a file, which baselines read: in Python they take longer there than detection does.\n"
    return text


def left_out(chosen, judged, policy):
    text = ("## Leave one kind out\n\nThe step-up threshold (1/1000) chosen without the kind (a campaign's: without its runs), and what it does to that kind. "
            "A policy has no parameter of a kind, only two thresholds: nothing else can be learned of one.\n")
    for name, rate in frozen.RATES.items():
        rows = frozen.left_out(chosen, judged, policy, rate)
        for campaigns, title in ((True, "campaign"), (False, "benign kind")):
            if not any(row[1] == campaigns for row in rows):
                continue
            text += f"\nFor {name}:\n\n" + table([f"{title} left out", "threshold", "its accounts flagged", "innocents flagged in its runs, at any time" if campaigns else "all innocents flagged, at any time"],
                                             [[kind.upper() if campaigns else kind, str(permille or "none"), rated(own), rated(innocents)]
                                              for kind, campaign, permille, own, innocents in rows if campaign == campaigns])
    return text


def seeds_of(results):
    return ", ".join(str(s) for s in sorted({r["seed"] for r in results}))


def frozen_text(kept, chosen, held_out, policy, command):
    """What was chosen, on how much, and what it does on seeds that were not chosen on."""
    judged = held_out or chosen
    rows = []
    for name, found in kept["policies"].items():
        for rung in ("step_up", "throttle"):
            permille = found[f"{rung}_permille"]
            proven = "yes" if found["enough_accounts"][rung] else "**no**: too few accounts to show the rate"
            rows.append([name, NAMES[rung], str(permille), "yes" if found["reached"][rung] else "**no**", proven, rated(frozen.recall_at(judged, policy, permille, rung=rung)),
                         rated(frozen.benign_at(judged, policy, permille, rung=rung)), rated(frozen.benign_at(judged, policy, permille, count=frozen.flagged_at, rung=rung))])
    parts = ["Made by", f"\n    {command}\n", f"Chosen on seeds {seeds_of(chosen)}, {kept['benign_accounts']:,} innocent accounts; judged on seeds {seeds_of(judged)}"
             f"{', which were not chosen on' if held_out else ' **as well: no others were run**'}. Replayed with thresholds at their lowest, so that every verdict says what it can; a campaign's account is flagged "
             "when it stands in a verdict of the rung with that probability at the end, an innocent one when it did at any time. The lowest threshold that keeps the rate is chosen, never below 0.501.\n",
             "## Thresholds\n", table(["policy", "rung", "threshold, 1/1000", "rate kept on the chosen seeds", "shown by so many accounts", "account recall", "FPR at any time", "FPR at the end"], rows), left_out(chosen, judged, policy)]
    return "\n".join(part for part in parts if part)


def frozen_baselines_text(kept, chosen, held_out, command):
    """What was chosen for baselines, on how much, and what it does on seeds that were not chosen on."""
    judged, found = held_out or chosen, kept["baselines"]
    rows = [[m, ", ".join(f"{k}={v}" for k, v in of["parameters"].items()), *(f"{of['thresholds'][rate]:.6g}" for rate in frozen.RATES)] for m, of in found["methods"].items()]
    unproven = [rate for rate, is_enough in found["enough_accounts"].items() if not is_enough]
    parts = ["Made by", f"\n    {command}\n", f"Chosen on seeds {seeds_of(chosen)}, {found['benign_accounts']:,} innocent accounts; judged on seeds {seeds_of(judged)}"
             f"{', which were not chosen on' if held_out else ' **as well: no others were run**'}. A threshold is the lowest score that no more than the rate of innocent accounts exceed; flagged is who exceeds it."
             f"{' **Too few accounts to show ' + ', '.join(unproven) + '.**' if unproven else ''}\n",
             "## Thresholds\n", table(["method", "parameters", *frozen.RATES], rows), baselines(judged, kept)]
    return "\n".join(parts)


def text_of(results, command, kept):
    everything, results = results, [r for r in results if r["variant"] != "shuffle"]  # a shuffled world's truth holds for its own section only
    results = results or everything
    parts = ["Made by", f"\n    {command}\n", "Synthetic traffic of one generator: it says that the parts work together, not how well detection does in the world. *q*: share of remembered harvesting requests that "
             "carried a live campaign's evidence at the end; *b*: the same of benign requests (at most 30 an account are remembered, hits before others). Intervals are 95 %, by bootstrap over cohorts "
             "(campaigns; kinds of a run); zero of n is bounded by 3/n.\n", goal_table(results), operating_points(results)]
    for policy in summary.policies(results):
        parts += [f"## Policy {policy}\n", campaign_types(results, policy), benign_kinds(results, policy), groups(results, policy), layers(results, policy), strata(results, policy)]
    first = summary.policies(results)[0]
    parts += [in_process(results, first), single_features(results), variants(everything, first), controls(results, first), shuffled(everything, first), baselines(results, kept)]
    return "\n".join(part for part in parts if part)


def write_scores(path, results):
    """Every account of every run: the truth, what each policy's live verdicts say of it, and every baseline's score."""
    policies = summary.policies(results)
    methods = sorted({m for r in results for m in r["baselines"]})
    with open(path, "w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["scenario", "variant", "seed", "account", "kind", "campaign", "owner", "requests", "harvest", "api",
                       *(f"{p}_{what}" for p in policies for what in ("rung", "said", "nats")), *methods])
        for r in results:
            for a, row in r["accounts"].items():
                said = [value for p in policies for value in r["policies"][p]["scores"].get(a, ["", "", ""])]
                rows.writerow([r["scenario"], r["variant"], r["seed"], a, *row, *said, *(f"{r['baselines'][m].get(a, 0):g}" if m in r["baselines"] else "" for m in methods)])
