"""Reads campaign-verdict.ndjson: every version of every campaign, its parts joined."""
import calendar
import json
import os
import time

RUNGS = ["observe", "step_up", "throttle", "degrade", "block"]
POINTS = RUNGS[:3]


def nanoseconds(text):
    """Of RFC 3339 with Z and nine digits."""
    return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) * 10**9 + int(text[20:29])


class Verdict:
    def __init__(self, record):
        self.campaign_id = record["campaign_id"]
        self.time_ns = nanoseconds(record["event_time"])
        self.rung = RUNGS.index(record["advice"]["action"])
        self.reason = record["advice"]["reason_code"]
        self.said = record["labels"]["distillation_like"] / 65536
        self.gone = record["state"] in ("withdrawn", "closed") or bool(record["superseded_by"])
        self.hits_before = record["exposure"]["exchanges_before_first_verdict"]
        self.failed_checks = [c["name"] for c in record["checks"] if c["result"] == "failed"]
        self.prior = record.get("prior", 0) / 256
        self.evidence = [[e["kind"], e["family"], round(e["weight"] / 256, 2)] for e in record.get("evidence", [])]
        self.accounts = {}
        self.add(record)

    def add(self, part):
        for a in part["accounts"]:
            self.accounts[a["id"]] = (a["score"] / 256, a["hits"])

    def at_least(self, point):
        return self.rung >= RUNGS.index(point)


class Verdicts:
    """every: in the order written; live: the newest of each campaign that was neither withdrawn nor merged away."""

    def __init__(self, folder):
        self.every = []
        newest = {}
        with open(os.path.join(folder, "campaign-verdict.ndjson")) as file:
            for record in map(json.loads, file):
                if record["part"] == 1:
                    verdict = Verdict(record)
                    self.every.append(verdict)
                    newest[verdict.campaign_id] = verdict
                else:
                    newest[record["campaign_id"]].add(record)
        self.live = [v for v in newest.values() if not v.gone]

    def flagged(self, point):
        """{account: the strongest (rung, said, score) of the live verdicts of that rung or higher}."""
        found = {}
        for v in self.live:
            for account, (score, _) in v.accounts.items() if v.at_least(point) else ():
                found[account] = max(found.get(account, (-1, 0, 0)), (v.rung, v.said, score))
        return found

    def ever(self, point):
        return {a for v in self.every if v.at_least(point) for a in v.accounts}

    def ever_said(self):
        """{account: (the highest probability of any verdict written for step-up or higher that listed it, the same for throttle)}, 0 for none."""
        found = {}
        for v in self.every:
            for account in v.accounts if v.at_least("step_up") else ():
                step, throttle = found.get(account, (0.0, 0.0))
                found[account] = (max(step, round(v.said, 4)), max(throttle, round(v.said, 4) if v.at_least("throttle") else 0.0))
        return found
