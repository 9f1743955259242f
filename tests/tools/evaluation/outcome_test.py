"""A run of six accounts and four verdicts, judged: tools/evaluation/outcome.py and what it reads."""
import json
import os
import re
import shutil
import struct
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "..", "tools", "evaluation"))
import floors
import frozen
import goals
import outcome
import report
import summary
import truth
import verdicts

START = 1_700_000_000 * 10**9
HOUR = 3600 * 10**9
CAMPAIGN = ["aa", "bb", "cc", "dd"]


def key(name):
    return name * 16


def time_text(hours):
    return f"2023-11-{14 + (22 + hours) // 24:02d}T{(22 + hours) % 24:02d}:13:20.000000000Z"


def account(index, name, campaign, runs, requests, kind="chat", **more):
    return {"account": index, "key": name, "key_id": key(name), "kind": kind, "owner": index, "created": time_text(0), "last": time_text(9), "campaign": campaign,
            "requests": requests, "harvest": sum(runs[1::2]), **({"harvest_runs": runs} if runs else {}), **more}


def verdict(hours, campaign_id, names, action, said=0.9, state="suspected", part=1, superseded=""):
    return {"campaign_id": campaign_id, "event_time": time_text(hours), "part": part, "parts": 2, "state": state, "superseded_by": superseded,
            "advice": {"action": action, "reason_code": "probability"}, "labels": {"distillation_like": int(said * 65536)},
            "exposure": {"exchanges_before_first_verdict": 0}, "checks": [], "accounts": [{"id": key(n), "score": 2560, "hits": 3} for n in names]}


class Run(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        at = self.folder.name
        # Campaign accounts ask at hours 0, 2, 4: the first is cover. The others at hour 1.
        rows = [account(i, n, "t1-1", [1, 2], 3, "t1") for i, n in enumerate(CAMPAIGN)]
        rows += [account(4, "ee", None, [], 1), account(5, "ff", None, [], 1, "distiller", allowed=True)]
        with open(f"{at}/truth.json", "w") as file:
            json.dump({"totals": {"requests": 14, "accounts": 6, "cover": 0.5}, "accounts": rows, "campaigns": [{"campaign": "t1-1", "type": "t1", "harvest": 8, "accounts": [0, 1, 2, 3]}]}, file)
        with open(f"{at}/exchanges", "wb") as file:
            file.write(bytes(32))
            for name, hours in [*((n, h) for h in (0, 2, 4) for n in CAMPAIGN), ("ee", 1), ("ff", 1)]:
                block = bytearray(296)
                struct.pack_into("<q", block, 24, START + hours * HOUR)
                block[71:87] = bytes.fromhex(key(name))
                file.write(struct.pack("<QQ", 293, 0) + block)  # padded to eight
            file.write(struct.pack("<QQ", 0, 14))
        self.write([verdict(1, "x", ["aa", "ee"], "observe"), verdict(3, "x", ["aa", "bb"], "step_up"), verdict(3, "x", ["ee"], "step_up", part=2),
                    verdict(5, "x", ["aa", "bb", "cc", "dd"], "throttle"), verdict(6, "y", ["ee"], "step_up", state="withdrawn"), verdict(6, "z", ["ff"], "step_up")])
        self.truth = truth.Truth(f"{at}/truth.json")
        self.asked = truth.Asked(f"{at}/exchanges", self.truth)

    def write(self, records):
        with open(f"{self.folder.name}/campaign-verdict.ndjson", "w") as file:
            file.writelines(json.dumps(r) + "\n" for r in records)

    def judged(self, hits=None):
        return outcome.judge(self.folder.name, self.truth, self.asked, hits)

    def result(self):
        return {"scenario": "t1", "variant": "", "seed": 1, "totals": self.truth.totals, "policies": {"p": self.judged()}, "baselines": {"rate": {key("aa"): 3.0, key("ee"): 1.0}},
                "baseline_s": {"rate": 0.25}, "baseline_notes": [],
                "accounts": {a: [outcome.kind_of(r), r["campaign"] or "", r["owner"], r["requests"], r["harvest"], "chat"] for a, r in self.truth.accounts.items()}}

    def test_times_and_labels(self):
        self.assertEqual(verdicts.nanoseconds(time_text(0)), START)
        self.assertEqual(truth.labels([2, 3], 6), [False, False, True, True, True, False])
        self.assertEqual(self.asked.harvest[key("aa")], [False, True, True])
        self.assertEqual(self.asked.before(key("aa"), START + 3 * HOUR), 2)

    def test_counts_at_each_point(self):
        found = self.judged()
        self.assertEqual(found["benign"]["step_up"], {"chat": [1, 0], "distiller (allow-listed)": [1, 1]})
        self.assertEqual(found["benign"]["ever"]["chat"], [1, 1])  # listed on the way
        self.assertEqual(found["campaigns"][0]["flagged"], {"observe": 4, "step_up": 4, "throttle": 4})
        self.assertTrue(found["campaigns"][0]["found_90"])
        self.assertEqual(found["b_cubed"], {"items": 5, "precision": 1.0, "recall": 1.0})
        self.assertEqual({(g["of_it"], g["accounts"]) for g in found["groups"]}, {(4, 4), (0, 1)})
        self.assertEqual(found["groups_ever"], {"observe": 3, "step_up": 3, "throttle": 1})  # withdrawn ones too

    def test_strata_hold_both_sides_and_leave_the_allow_listed_out(self):
        found = outcome.judge(self.folder.name, self.truth, self.asked, None, {key("aa"), key("ee")})["strata"]
        self.assertEqual(found["address"], {"shared by several owners": {"campaign": [1, 1], "benign": [1, 0]}, "own": {"campaign": [3, 3]}})
        self.assertEqual(found["age"], {"under 30 days": {"campaign": [4, 4], "benign": [1, 0]}})
        self.assertNotIn("address", self.judged()["strata"])

    def test_exposure_counts_what_was_harvested_before(self):
        row = self.judged()["campaigns"][0]
        self.assertEqual(row["exposure_first"], 0.5)  # at hour 3 of harvests at 2 and 4; the verdict at observe does not count
        self.assertEqual(row["exposure_80"], 1.0)
        self.assertEqual(row["requests_when_grouped"], [2, 2, 3, 3])

    def test_in_process_the_same_is_known_of_campaigns_accounts(self):
        with open(f"{self.folder.name}/asked.bin", "wb") as file:
            for hours in (0, 2, 4):
                for i in range(4):
                    file.write(struct.pack("<qII", START + hours * HOUR, i, hours > 0))
        asked = truth.AskedInProcess(f"{self.folder.name}/asked.bin", self.truth)
        self.assertEqual(asked.harvest, {key(n): [False, True, True] for n in CAMPAIGN})
        self.assertEqual(outcome.judge(self.folder.name, self.truth, asked)["campaigns"], self.judged()["campaigns"])
        second = START // 10**9
        self.assertEqual([asked.marks(key("aa"), second), asked.marks(key("aa"), second + 7200), asked.marks(key("aa"), 1), asked.marks(key("ee"), 1)], [{False}, {True}, None, {False}])

    def test_request_rates(self):
        path = f"{self.folder.name}/hits"
        second = START // 10**9
        with open(path, "w") as file:
            file.write("account,time_s,hit\n" + "".join(f"{key(n)},{second + h * 3600},{hit}\n" for n, h, hit in (("aa", 0, 0), ("aa", 2, 1), ("aa", 4, 0), ("ee", 1, 1), ("ff", 1, 0), ("ee", 7, 1))))
        rates = self.judged(path)["requests"]
        self.assertEqual(rates["harvest"], {"t1": [2, 1]})
        self.assertEqual(rates["cover"], {"t1": [1, 0]})
        self.assertEqual(rates["benign"], {"chat": [1, 1], "distiller (allow-listed)": [1, 0]})

    def test_allow_listed_accounts_count_on_neither_side(self):
        result = self.result()
        self.assertEqual(summary.benign_cells([result], "p"), [(0, 1)])
        self.assertEqual(frozen.benign(result), [key("ee")])
        self.assertEqual(frozen.thresholds([result]), {"rate": {"1e-3": 1.0, "1e-4": 1.0}})
        self.assertEqual(summary.baseline_counts([result], "rate", 1.0), ([(1, 4)], [(0, 1)]))

    def test_shuffled_accounts_are_compared_within_their_stratum(self):
        result = self.result()
        self.assertEqual(summary.alike_cells([result], "p"), ([], []))  # three exchanges each, the others one
        result["accounts"][key("ee")][3] = 2
        self.assertEqual(summary.alike_cells([result], "p"), ([], []))  # half as often again is another stratum
        result["accounts"][key("ee")][3] = 3
        self.assertEqual(summary.alike_cells([result], "p"), ([(4, 4)], [(0, 1)]))
        result["accounts"][key("ee")][0] = "polyglot"
        self.assertEqual(summary.alike_cells([result], "p"), ([], []))
        # Nine campaign accounts where half of the others are flagged, one where none is.
        self.assertEqual(summary.alike_share([(9, 9), (0, 1)], [(5, 10), (0, 1000)]), 0.45)

    def test_a_control_says_whether_it_holds(self):
        before, after = self.result(), self.result()
        self.assertIn("**holds**", report.controls([before, {**after, "variant": "vocabulary"}], "p"))
        self.write([verdict(3, "x", ["aa", "bb", "cc"], "step_up")])
        text = report.controls([before, {**self.result(), "variant": "vocabulary"}], "p")
        self.assertIn("-25.0", text)
        self.assertIn("**is missed**", text)
        shuffled = {**before, "variant": "shuffle"}
        shuffled["accounts"][key("ee")][3] = 3
        self.assertEqual(report.shuffled([shuffled], "p").count("**is missed**"), 2)  # all of the campaign's accounts, no other

    def test_a_quiet_population_is_judged_at_any_time(self):
        self.write([verdict(3, "x", ["ee"], "throttle"), verdict(4, "x", ["ee"], "observe", state="withdrawn")])
        quiet = self.result()
        quiet["policies"]["p"]["campaigns"], quiet["totals"] = [], {**quiet["totals"], "accounts": 300_000}
        self.assertEqual(goals.quiet_goal([quiet], "p", "throttle"), ("1 groups at throttle at any time (0 at the end), 300000 accounts", goals.MISSED))
        self.write([])
        quiet["policies"]["p"] = {**self.judged(), "campaigns": []}
        self.assertEqual(goals.quiet_goal([quiet], "p", "throttle")[1], goals.MET)
        quiet["totals"]["accounts"] = 30_000
        self.assertEqual(goals.quiet_goal([quiet], "p", "throttle")[1], goals.NOT_SHOWN)

    def test_a_part_of_a_world_stands_for_the_whole_down_to_a_tenth(self):
        whole = self.result()
        whole["policies"]["p"]["campaigns"] = [{**c, "harvest": 28_000_000, "exposure_first": 0.004} for c in whole["policies"]["p"]["campaigns"]]
        part = lambda share, sample, harvest, exposed: {**whole, "share": share, "played": {"p": {"sample": sample}},
                                                        "policies": {"p": {"campaigns": [{**whole["policies"]["p"]["campaigns"][0], "harvest": harvest, "exposure_first": exposed}]}}}
        goal = lambda *results: goals.exposure_goal(list(results), "p", 20_000_000, 10**12, 0.005)
        self.assertEqual(goal(whole), ("median 0.4 %, worst tenth 0.4 % of 1 campaigns", goals.NOT_SHOWN))
        self.assertEqual(goal(*[whole] * goals.ENOUGH)[1], goals.MET)
        self.assertEqual(goal(part(0.1, 1, 2_800_000, 0.006)), ("median 0.6 %, worst tenth 0.6 % of 1 campaigns, of which 0.1 was played", goals.MISSED))
        self.assertEqual(goal(part(1, 10, 2_800_000, 0.006))[1], goals.MISSED)
        self.assertEqual(goal(part(0.01, 1, 280_000, 0.006))[1], goals.NOT_SHOWN)
        self.assertEqual(goal(part(1, 1, 2_800_000, 0.006)), ("not run", goals.NOT_SHOWN))

    def test_floors_and_goals(self):
        values = floors.measured([self.result()], "p")
        self.assertEqual(values, {"recall": 1.0, "found": 1, "innocents": 0, "innocents_throttle": 0, "innocents_ever": 1})
        self.assertEqual(len(floors.misses("t1", values, {"innocents_ever": 0})), 1)  # of a campaign that was withdrawn by the end
        self.assertEqual(floors.misses("t1", values, {"recall": 0.9, "found": 1, "innocents": 0}), [])
        self.assertEqual(len(floors.misses("t1", {"recall": 0.89, "found": 0, "innocents": 1}, {"recall": 0.9, "found": 1, "innocents": 0})), 3)
        self.assertEqual(goals.at_most([(0, 100)], 1e-3), goals.NOT_SHOWN)  # 0 of 100 is below 3e-2 only
        self.assertEqual(goals.at_most([(0, 3000)], 1e-3), goals.MET)
        self.assertEqual(goals.at_most([(1, 100)], 1e-3), goals.MISSED)
        self.assertEqual(goals.at_least([(95, 100), (85, 100)], 0.9), goals.NOT_SHOWN)
        self.assertEqual(goals.at_least([(95, 100)] * 20, 0.9), goals.MET)

    def test_a_threshold_of_a_policy_is_the_lowest_that_keeps_the_rate(self):
        self.write([verdict(3, "x", ["ee"], "step_up", said=0.8)])
        result = self.result()
        self.assertEqual(frozen.permille_of([result], "p", "step_up", 1e-3), 801)
        self.assertEqual(frozen.permille_of([result], "p", "throttle", 1e-3), 501)  # one half is what one family may say
        self.assertEqual(frozen.permille_of([result], "p", "step_up", 1e-3, left_out="chat"), 501)
        self.assertEqual(frozen.enough([result], 1e-3), False)  # one account shows nothing of one in a thousand
        self.assertEqual(frozen.recall_at([result], "p", 801), [(0, 4)])
        # Withdrawn by the end, and it counts: the one who was listed was asked to step up meanwhile.
        self.write([verdict(3, "x", ["ee"], "throttle", said=0.96), verdict(4, "x", ["ee"], "observe", said=0.1, state="withdrawn")])
        result = self.result()
        self.assertEqual([frozen.permille_of([result], "p", rung, 1e-3) for rung in ("step_up", "throttle")], [961, 961])
        self.assertEqual((frozen.benign_at([result], "p", 960), frozen.benign_at([result], "p", 960, count=frozen.flagged_at)), ([(1, 1)], [(0, 1)]))
        self.write([verdict(3, "x", ["ee"], "step_up", said=0.8)])
        result = self.result()
        self.assertEqual(frozen.benign_at([result], "p", 799), [(1, 1)])
        self.assertEqual(frozen.benign_at([result], "p", 799, rung="throttle"), [(0, 1)])  # said enough for it, and held at step-up
        # Without the kind, and without the runs of the campaign's kind, nothing speaks against the lowest.
        self.assertEqual(frozen.left_out([result], [result], "p", 1e-3), [("chat", False, 501, [(1, 1)], [(1, 1)]), ("t1", True, 501, [(0, 4)], [(1, 1)])])
        kept = {"policies": {"1e-3": {"step_up_permille": 801, "throttle_permille": 950, "reached": {"step_up": True, "throttle": True}, "enough_accounts": {"step_up": False, "throttle": False}}},
                "benign_accounts": 1, "baselines": {"methods": {}}}
        text = report.frozen_text(kept, [result], [], "p", "tools/evaluate")
        self.assertIn("no others were run", text)
        self.assertIn("too few accounts", text)

    def test_thresholds_of_baselines_and_of_policies_are_frozen_apart(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(os.path.join(frozen.HERE, "policies"), f"{folder}/policies")
            with mock.patch.multiple(frozen, HERE=folder, PATH=f"{folder}/frozen.json"):
                frozen.freeze_baselines([self.result()], {"rate": {"window_s": None}}, "one")
                frozen.freeze([self.result()], "p", "two")
                kept = frozen.load()
                self.assertEqual(kept["baselines"]["methods"], {"rate": {"parameters": {"window_s": None}, "thresholds": {"1e-3": 1.0, "1e-4": 1.0}}})
                self.assertEqual((kept["baselines"]["command"], kept["command"], kept["baselines"]["enough_accounts"]), ("one", "two", {"1e-3": False, "1e-4": False}))
                frozen.freeze_baselines([self.result()], {"rate": {"window_s": 60}}, "three")
                self.assertEqual({**frozen.load(), "baselines": 0}, {**kept, "baselines": 0})

    def test_baselines_stand_beside_detection_under_thresholds_of_other_seeds(self):
        result = {**self.result(), "policies": {"1e-3": self.judged()}, "detection_s": {"1e-3": 2.0}, "baseline_notes": ["rate: half of the pairs are looked at"]}
        kept = lambda threshold: {"baselines": {"methods": {"rate": {"thresholds": {"1e-3": threshold, "1e-4": threshold}}}}}
        text = report.baselines([result], kept(2.0))
        self.assertIn("| 1e-3 | rate | 1 of 4, 25.0 % | 0 of 1, below 1.0e+00 |", text)
        self.assertIn("| 1e-3 | **Stillwatch**, step-up | 4 of 4, 100.0 % | 1 of 1, 100.0 %", text)  # listed on the way counts against it
        self.assertIn("| campaign | rate | **Stillwatch**, step-up |", text)
        self.assertIn("| T1 | 25.0 %; 0 | 100.0 %; 1.0e+00 |", text)
        self.assertNotIn("| 1e-4 | **Stillwatch**", text)  # that policy was not run
        self.assertIn("| T1 | 25.0 %; 0 |\n", text)
        self.assertIn("rate 0.2 (0.2); `stillwatch replay`, policy 1e-3 2.0 (2.0)", text)
        self.assertIn("- Bounded: rate: half of the pairs are looked at (t1 1)", text)
        self.assertNotIn("Not scored", text)
        self.assertIn("| 1e-3 | rate | 1 of 4, 25.0 % | 1 of 1, 100.0 %", report.baselines([result], kept(0.5)))
        self.assertIn("| 1e-3 | rate | no threshold frozen |", report.baselines([result], {"baselines": {"methods": {}}}))
        self.assertIn("**Not scored**: quiet 300000 accounts.", report.baselines([result, {**result, "scenario": "quiet", "variant": "300000 accounts", "baselines": {}}], kept(2.0)))
        self.assertEqual(report.baselines([{**result, "baselines": {}}], kept(2.0)), "")

    def test_of_a_baseline_the_recall_of_one_type_is_that_of_its_campaigns(self):
        result = self.result()
        result["accounts"][key("bb")][:2] = ["t4", "t4-1"]
        self.assertEqual(summary.baseline_counts([result], "rate", 2.0, "t4"), ([(0, 1)], [(0, 1)]))
        self.assertEqual(summary.baseline_counts([result], "rate", 2.0, "t1"), ([(1, 3)], [(0, 1)]))

    def test_a_frozen_ladder_rises(self):
        for step, throttle in ((501, 501), (501, None), (996, None), (None, None), (980, 960)):
            rungs = list(frozen.ladder(step, throttle).values())
            self.assertEqual(rungs, sorted(rungs))
            self.assertLessEqual(rungs[-1], 999)
        self.assertEqual(list(frozen.ladder(501, 640).values()), [501, 950, 970, 990])
        for name in frozen.RATES:  # as shipped
            with open(os.path.join(frozen.HERE, "policies", name + ".toml")) as file:
                rungs = [int(n) for n in re.findall(r"(?m)^\w+_permille = (\d+)$", file.read())]
            self.assertEqual(rungs, sorted(rungs))
            self.assertEqual(len(rungs), 4)


if __name__ == "__main__":
    unittest.main()
