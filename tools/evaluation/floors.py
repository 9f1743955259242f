"""What --preset small must reach: floors on the quality of verdicts, never on time. The runs are deterministic, so a floor that is
missed is a change in what detection decides."""
import json
import os

import metrics
import summary

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "floors.json")


def measured(runs, policy):
    """What the floors of one scenario are held against."""
    innocents = {p: sum(hit for hit, _ in summary.benign_cells(runs, policy, p)) for p in ("step_up", "throttle", "ever")}
    return {"recall": metrics.share(summary.recall_cells(runs, policy)), "found": sum(c["found_90"] for _, c in summary.campaigns(runs, policy)),
            "innocents": innocents["step_up"], "innocents_throttle": innocents["throttle"], "innocents_ever": innocents["ever"]}


def misses(name, values, floor):
    """A sentence for each floor that is missed."""
    found = []
    for key, least in floor.items():
        at_least = key in ("recall", "found")
        value = values[key]
        if value is None or (value < least if at_least else value > least):
            found.append(f"{name}: {key} is {value if value is None else round(value, 4)}, the floor is {'at least' if at_least else 'at most'} {least}")
    return found


def hold(results):
    """Prints each scenario's figures, in the form that tools/test repeats; 1 when a floor is missed or nothing was held."""
    with open(PATH) as file:
        floors = json.load(file)
    policy = summary.policies(results)[0]
    wrong = []
    scenarios = {}
    for (scenario, _), runs in summary.sections(results).items():
        scenarios.setdefault(scenario, []).extend(runs)
    for scenario, runs in scenarios.items():
        values = measured(runs, policy)
        campaigns = len(summary.campaigns(runs, policy))
        recall = f"account recall {values['recall']:.3f}, {values['found']} of {campaigns} campaigns found, " if campaigns else ""
        accounts = sum(n for _, n in summary.benign_cells(runs, policy))
        print(f"MEASURED detection, {scenario}, {len(runs)} seeds, step-up: {recall}{values['innocents']} of {accounts} innocent accounts flagged ({values['innocents_throttle']} at throttle, {values['innocents_ever']} at any time)")
        wrong += misses(scenario, values, floors.get(scenario, {}))
    wrong += [f"{scenario}: not run" for scenario in floors if scenario not in scenarios]
    for line in wrong:
        print(f"FAILED {line}")
    if not wrong:
        print("floors hold")
    return 1 if wrong or not scenarios else 0
