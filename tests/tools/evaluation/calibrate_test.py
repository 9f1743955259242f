"""Tables of stated and true probabilities: tools/evaluation/calibrate.py, by hand and against a slow search."""
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import unittest

TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "tools", "evaluation")
sys.path.insert(0, TOOL)
import calibrate


def verdict(campaign, accounts, said, superseded="", reason="probability"):
    return {"campaign_id": campaign, "part": 1, "labels": {"pooled": said, "distillation_like": said}, "superseded_by": superseded,
            "advice": {"reason_code": reason}, "accounts": [{"id": a} for a in accounts]}


class Runs:
    """A folder as tools/evaluate leaves it: four accounts of a campaign, four of one owner, four of nobody."""

    def __init__(self, folder, seed=11, split="dev", copies=1, said=(60_000, 40_000, 30_000)):
        ids = [f"{i:032x}" for i in range(12)]
        accounts = [{"account": i, "key_id": k, "owner": 100 if 4 <= i < 8 else i, "campaign": "t1-1" if i < 4 else None} for i, k in enumerate(ids)]
        truth = {"seed": seed, "split": split, "totals": {}, "accounts": accounts,
                 "campaigns": [{"campaign": "t1-1", "type": "t1", "harvest": 1, "accounts": [0, 1, 2, 3]}]}
        lines = []
        for n in range(copies):
            lines += [verdict(f"{name}{n}", accounts, stated) for name, accounts, stated in zip("abc", (ids[:5], ids[3:8], ids[8:]), said)]
        lines += [verdict("a0", ids[:4], max(61_000, said[0])), verdict("gone", ids[:4], 100, superseded="a0"), verdict("told", ids[:4], 0, reason="partner_claim")]
        base = os.path.join(folder, f"{split}-t1-{seed}")
        os.mkdir(base + "-1e-3")
        with open(base + ".json", "w") as file:
            json.dump(truth, file)
        with open(os.path.join(base + "-1e-3", "campaign-verdict.ndjson"), "w") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


class Calibrate(unittest.TestCase):
    def test_samples_are_newest_verdicts_and_what_they_are(self):
        with tempfile.TemporaryDirectory() as folder:
            Runs(folder)
            samples = calibrate.samples_of([folder], "1e-3")
        self.assertEqual(sorted(samples["distillation_like"]), [(11, 30_000, False), (11, 40_000, False), (11, 61_000, True)])
        self.assertEqual(sorted(samples["pooled"]), [(11, 30_000, False), (11, 40_000, True), (11, 61_000, True)])

    def test_other_splits_and_seeds_make_no_table(self):
        for seed, split in ((11, "test"), (201, "dev")):
            with tempfile.TemporaryDirectory() as folder:
                Runs(folder, seed, split)
                with self.assertRaises(calibrate.Refused):
                    calibrate.samples_of([folder], "1e-3")
                done = subprocess.run(["/usr/bin/python3", os.path.join(TOOL, "calibrate.py"), folder], capture_output=True, text=True)
                self.assertEqual(done.returncode, 1)
                self.assertIn("split dev, seeds 11 to 20", done.stderr)

    def test_a_table_needs_samples(self):
        for copies, written in ((10, False), (100, True)):
            with tempfile.TemporaryDirectory() as folder:
                Runs(folder, 11, copies=copies)
                Runs(folder, 12, copies=copies)
                out = os.path.join(folder, "table")
                done = subprocess.run(["/usr/bin/python3", os.path.join(TOOL, "calibrate.py"), folder, "--write", "distillation_like", out], capture_output=True, text=True)
                self.assertEqual((done.returncode == 0, os.path.exists(out)), (written, written), done.stderr)
                self.assertIn("each seed left out", done.stdout)
                if written:  # 400 of one stated probability, none of them a campaign: still none is certain
                    with open(out) as file:
                        rows = file.read().splitlines()
                    self.assertIn("600 verdicts of development seeds 11, 12", rows[0])
                    self.assertEqual(rows[1], "{30000, 163},  // 0 of 400")

    def test_no_table_is_written_that_is_no_better(self):
        with tempfile.TemporaryDirectory() as folder:
            Runs(folder, 11, copies=200, said=(65_536, 0, 0))
            Runs(folder, 12, copies=200, said=(65_536, 0, 0))
            out = os.path.join(folder, "table")
            done = subprocess.run(["/usr/bin/python3", os.path.join(TOOL, "calibrate.py"), folder, "--write", "distillation_like", out], capture_output=True, text=True)
            self.assertEqual((done.returncode, os.path.exists(out)), (1, False))
            self.assertIn("no better", done.stderr)

    def test_runs_in_process_have_their_truth_inside(self):
        with tempfile.TemporaryDirectory() as folder:
            Runs(folder)
            os.rename(os.path.join(folder, "dev-t1-11.json"), os.path.join(folder, "dev-t1-11-1e-3", "truth.json"))
            self.assertEqual(len(calibrate.samples_of([folder], "1e-3")["pooled"]), 3)
            self.assertEqual(calibrate.samples_of([folder], "1e-4")["pooled"], [])

    def test_rises_and_fits_best(self):
        draw = random.Random(5)
        for _ in range(200):
            samples = [(draw.randrange(5), draw.random() < 0.5) for _ in range(draw.randrange(1, 14))]
            table = calibrate.monotone(samples)
            rates = [rate for _, rate, _ in table]
            self.assertEqual(rates, sorted(rates))
            self.assertEqual(sum(count for _, _, count in table), len(samples))
            error = sum((calibrate.step_at(table, stated)[0] - so) ** 2 for stated, so in samples)
            # The best of all cuts into runs of equal rate that rise.
            values = sorted({stated for stated, _ in samples})
            best = float("inf")
            for cuts in itertools.product((False, True), repeat=len(values) - 1):
                groups, start = [], 0
                for i, cut in enumerate((*cuts, True)):
                    if cut:
                        groups.append([so for stated, so in samples if stated in values[start:i + 1]])
                        start = i + 1
                means = [sum(g) / len(g) for g in groups]
                if means == sorted(means):
                    best = min(best, sum((so - m) ** 2 for g, m in zip(groups, means) for so in g))
            self.assertAlmostEqual(error, best)

    def test_wilson_by_hand(self):
        low, high = calibrate.wilson(0.5, 100)
        self.assertAlmostEqual(low, 0.404, 3)
        self.assertAlmostEqual(high, 0.596, 3)
        self.assertEqual(calibrate.wilson(0, 50)[0], 0)


if __name__ == "__main__":
    unittest.main()
