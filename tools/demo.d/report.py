#!/usr/bin/env python3
"""Prints the demo's report from the files in its folder: what passed, what was found, why, and what truth says."""
import json
import os
import sys

RUNGS = ["observe", "step_up", "throttle", "degrade", "block"]


def load(path):
    return json.load(open(path)) if os.path.exists(path) else None


def verdicts(path):
    """The last verdict of each campaign, with the accounts of all its parts."""
    last = {}
    for line in open(path):
        record = json.loads(line)
        last.setdefault(record["campaign_id"], {})[record["part"]] = record
    merged = []
    for parts in last.values():
        newest = max(parts.values(), key=lambda r: (r["event_time"], r["part"]))
        rows = [r for r in parts.values() if r["event_time"] == newest["event_time"]] or [newest]
        whole = dict(max(rows, key=lambda r: len(r["evidence"])))
        whole["accounts"] = [a for r in rows for a in r["accounts"]]
        merged.append(whole)
    return [v for v in merged if v["state"] not in ("withdrawn",)]


def ever_advised(path):
    """Accounts that any verdict of the run advised step-up or more against, taken back later or not."""
    ever = set()
    for line in open(path):
        record = json.loads(line)
        if RUNGS.index(record["advice"]["action"]) >= 1:
            ever.update(a["id"] for a in record["accounts"])
    return ever


def rule(title):
    print(f"\n\033[1m{title}\033[0m\n" + "-" * len(title))


def passed(folder):
    ends = load(f"{folder}/ends.json")
    if not ends:
        return
    client = [b - a for a, b in zip(ends["clients_before"], ends["clients_after"])]
    server = [b - a for a, b in zip(ends["servers_before"], ends["servers_after"])]
    print(f"clients sent     {client[0]:>10,} packets, servers received {server[1]:>10,}: {client[0] - server[1]:,} lost")
    print(f"servers sent     {server[0]:>10,} packets, clients received {client[1]:>10,}: {server[0] - client[1]:,} lost")
    print("  (the kernel's counts at the interfaces of both ends, outside the appliance)")
    status, truth = load(f"{folder}/status.json"), load(f"{folder}/live.truth.json")
    totals = truth["totals"]
    played = truth.get("play") or {}
    answered = played.get("responses", played.get("answered", totals["requests"]))
    print(f"requests answered {answered:>9,}; exchanges understood {status['exchanges']:,}; accounts that asked "
          f"{totals.get('accounts', len(truth['accounts'])):,}")


def truth_of(members, owner):
    kinds = {}
    for member in members:
        row = owner.get(member)
        kind = "?" if row is None else row["campaign"] or row["kind"] + " (benign)"
        kinds[kind] = kinds.get(kind, 0) + 1
    return ", ".join(f"{n} {k}" for k, n in sorted(kinds.items(), key=lambda p: -p[1]))


def print_whole(verdict, owner):
    members = [a["id"] for a in verdict["accounts"]]
    print(f"campaign {verdict['campaign_id']} ({verdict['state']}): {len(members)} accounts, "
          f"{verdict['blast_radius']['exchanges']:,} exchanges in the last day")
    print(f"  pooled {verdict['labels']['pooled'] / 655.36:.1f} %, distillation_like "
          f"{verdict['labels']['distillation_like'] / 655.36:.1f} %; advice: {verdict['advice']['action']} "
          f"({verdict['advice']['reason_code']})")
    for evidence in verdict["evidence"]:
        if evidence["weight"] > 0:
            print(f"    {evidence['weight'] / 256:5.1f} nat  {evidence['text']}")
    for text in verdict["counter_evidence"][:3]:
        print(f"      against: {text}")
    print("  truth says: " + truth_of(members, owner))
    print("  first accounts: " + ", ".join(m[:12] for m in members[:5]) + " ...")


def judged(folder, name):
    truth = load(f"{folder}/{name}.truth.json")
    found = sorted(verdicts(f"{folder}/{name}/campaign-verdict.ndjson"), key=lambda v: -v["labels"]["distillation_like"])
    owner = {a["key_id"]: a for a in truth["accounts"]}
    watched = [v for v in found if v["advice"]["action"] == "observe"]
    for verdict in found:
        if verdict not in watched:
            print_whole(verdict, owner)
    if watched:
        print("Groups that were looked at, and nothing is advised against:")
    for verdict in watched:
        against = verdict["counter_evidence"][-1] if verdict["counter_evidence"] else verdict["advice"]["reason_code"]
        print(f"  {verdict['campaign_id'][:8]} ({verdict['state']}): truth says {truth_of([a['id'] for a in verdict['accounts']], owner)}; {against}")
    print(f"\n{'truth: campaign':<18}{'accounts':>9}{'found at observe':>18}{'at step-up or above':>21}")
    advised = {}
    for verdict in found:
        rung = RUNGS.index(verdict["advice"]["action"]) if verdict["advice"]["action"] in RUNGS else 0
        for account in verdict["accounts"]:
            advised[account["id"]] = max(rung, advised.get(account["id"], -1))
    campaigns = {}
    for account in truth["accounts"]:
        if account["campaign"]:
            campaigns.setdefault(account["campaign"], []).append(account["key_id"])
    for campaign, keys in sorted(campaigns.items()):
        seen = sum(1 for k in keys if k in advised)
        stepped = sum(1 for k in keys if advised.get(k, -1) >= 1)
        print(f"{campaign:<18}{len(keys):>9}{100 * seen / len(keys):>16.1f} %{100 * stepped / len(keys):>19.1f} %")
    benign = [a for a in truth["accounts"] if not a["campaign"]]
    hit = [a for a in benign if advised.get(a["key_id"], -1) >= 1]
    flagged = sum(1 for r in advised.values() if r >= 1)
    print(f"benign accounts   {len(benign):>9}{'':>18}{len(hit):>15} flagged"
          + (f" ({', '.join(sorted(set(a['kind'] for a in hit)))})" if hit else ""))
    ever = ever_advised(f"{folder}/{name}/campaign-verdict.ndjson")
    print(f"  at any time     {'':>9}{'':>18}{sum(1 for a in benign if a['key_id'] in ever):>15} flagged")
    if flagged:
        print(f"precision of what was flagged at step-up or above: {100 * (flagged - len(hit)) / flagged:.1f} %")


def main():
    folder = sys.argv[1]
    live = os.path.exists(f"{folder}/ends.json")
    rule("What passed" if live else "Live part from a capture")
    passed(folder)
    rule("Campaigns in the live traffic" if live else "Campaigns in the capture of the live scenario")
    judged(folder, "live")
    rule("Low and slow (T6), from a 14-day capture")
    judged(folder, "slow")
    rule("Files")
    for name, what in (("live/campaign-verdict.ndjson", "verdicts"), ("live/enforcement-advice.ndjson", "advice by account"),
                       ("live/audit.ndjson", "audit trail"), ("live.truth.json", "truth"),
                       ("slow/campaign-verdict.ndjson", "verdicts of the 14-day capture"), ("stillwatch.log", "the daemon's log")):
        if os.path.exists(f"{folder}/{name}"):
            print(f"  {what:<32} {folder}/{name}")


if __name__ == "__main__":
    main()
