"""The command that puts baselines in a table: thresholds are frozen, rates realised, and a wrong pair of files is refused."""
import json
import os
import subprocess
import tempfile
import unittest

import numpy as np

from recording import ROOT, block, file_of, path_of, stillgen
import baselines
import frozen
import plan
import run_baselines
import runs


def command(*words):
    return subprocess.run(["/usr/bin/python3", os.path.join(ROOT, "tools", "evaluation", "run_baselines.py"), *words], capture_output=True, text=True)


class Thresholds(unittest.TestCase):
    def test_no_more_than_the_rate_exceed_it(self):
        benign = np.arange(1000.0)
        self.assertEqual(int((benign > run_baselines.threshold(benign, 1e-2)).sum()), 10)
        self.assertEqual(int((benign > run_baselines.threshold(benign, 1e-3)).sum()), 1)
        self.assertEqual(int((benign[:500] > run_baselines.threshold(benign[:500], 1e-3)).sum()), 0)
        tied = np.array([1.0] * 50 + [2.0] * 50)
        self.assertEqual(int((tied > run_baselines.threshold(tied, 1e-2)).sum()), 0)

    def test_a_file_is_judged_by_the_others(self):
        campaign = np.array([False] * 100 + [True] * 10)
        kind = np.array(["chat"] * 60 + ["class"] * 40 + ["t1"] * 10)
        low = (np.array([1.0] * 100 + [5.0] * 10), campaign, kind)
        high = (np.array([9.0] * 100 + [5.0] * 10), campaign, kind)
        point = run_baselines.judge([low, high], [low, high])["points"][0]
        # Under the threshold of `high` nobody of `low` is caught; under that of `low` all of `high` is.
        self.assertEqual((point["caught"], point["wrong"], point["members"], point["innocents"]), (10, 100, 20, 200))
        self.assertEqual(point["kinds"], {"chat": (60, 120), "class": (40, 80), "t1": (10, 20)})

    def test_area_under_the_curve(self):
        campaign = np.array([False, False, True, True])
        self.assertEqual(run_baselines.auc(np.array([1, 2, 3, 4]), campaign), 1)
        self.assertEqual(run_baselines.auc(np.array([1, 1, 1, 1]), campaign), 0.5)
        self.assertEqual(run_baselines.auc(np.array([1, 3, 2, 4]), campaign), 0.75)
        self.assertIsNone(run_baselines.auc(np.array([1.0, 2.0]), np.array([False, False])))


class Shipped(unittest.TestCase):
    def test_thresholds_that_are_frozen_are_of_the_parameters_that_each_method_has(self):
        kept = frozen.load()["baselines"]
        self.assertIn(set(kept["methods"]), (set(), set(baselines.METHODS)))  # of none, or of all
        for method, of in kept["methods"].items():
            self.assertEqual(of["parameters"], baselines.parameters(method), method)
            self.assertLessEqual(of["thresholds"]["1e-3"], of["thresholds"]["1e-4"], method)
            self.assertIn("--split dev", kept["command"])


class Labels(unittest.TestCase):
    def test_ids_are_those_of_the_verdicts(self):
        # printf sk-1 | openssl dgst -sha256 -mac hmac -macopt hexkey:7374696c6c77617463682d6578616d706c65
        found = run_baselines.labels_of({"accounts": [{"key": "sk-1", "kind": "chat", "campaign": None}, {"key": "sk-2", "kind": "t1", "campaign": "t1-1"},
                                                      {"key": "sk-3", "kind": "distiller", "campaign": None, "allowed": True}]})
        self.assertEqual(found, {"920d302bb500e8c0fc3d77aa3096137c": ("chat", False), "7dcc9cb1a4a2181f3481bd0bf10da482": ("t1", True)})


class Command(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.runs = [stillgen(cls.folder.name, seed) for seed in (3, 4)]

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_both_files_give_a_table_and_the_scores_of_all_accounts(self):
        out = os.path.join(self.folder.name, "out.json")
        done = command("--exchanges", *(e for e, _ in self.runs), "--truth", *(t for _, t in self.runs), "--out", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([line.split(" ")[1] for line in done.stdout.split("\n\n")[0].splitlines()[2:]], list(run_baselines.METHODS))
        with open(out) as file:
            written = json.load(file)["methods"]
        for (_, truth_path), scores in zip(self.runs, written["rate"]["scores"]):
            with open(truth_path) as file:
                truth = json.load(file)
            self.assertEqual(scores, {a["key_id"]: scores[a["key_id"]] for a in truth["accounts"] if not a.get("allowed")})
        self.assertEqual(written["rate"]["points"][0]["members"], sum(self.members(t) for _, t in self.runs))

    def test_frozen_thresholds_on_another_file(self):
        (one, one_truth), (two, two_truth) = self.runs
        out = os.path.join(self.folder.name, "frozen.json")
        done = command("--exchanges", one, "--truth", one_truth, "--apply", two, "--apply-truth", two_truth, "--methods", "rate", "--out", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(out) as file:
            rate = json.load(file)["methods"]["rate"]
        with open(two_truth) as file:
            campaign_of = {a["key_id"]: a["campaign"] for a in json.load(file)["accounts"]}
        above = [i for i, score in rate["scores"][0].items() if score > rate["thresholds"][0]]
        self.assertEqual(rate["points"][0]["wrong"], sum(campaign_of[i] is None for i in above))
        self.assertEqual(rate["points"][0]["caught"], sum(campaign_of[i] is not None for i in above))

    def test_files_that_do_not_belong_together(self):
        foreign = path_of(file_of([block(1, key=1)]))
        done = command("--exchanges", foreign, "--truth", self.runs[0][1])
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("another account key", done.stderr)
        done = command("--exchanges", self.runs[0][1], "--truth", self.runs[0][1])
        self.assertEqual(done.returncode, 2)
        self.assertIn("no file of recorded exchanges", done.stderr)

    def test_a_world_is_scored_without_a_replay(self):
        with tempfile.TemporaryDirectory() as folder:
            job = plan.Job("crowd", 3, world=("--mix", "chat=40,t1=1x10", "--hours", "3"))
            result = runs.score(job, runs.Settings("dev", folder, (), binaries=os.path.dirname(os.environ["STILLGEN"])))
            self.assertEqual(os.listdir(folder), ["dev-crowd-3.json"])
        self.assertEqual(set(result["baselines"]), set(run_baselines.METHODS))
        self.assertEqual(set(result["baseline_s"]), set(run_baselines.METHODS))
        self.assertEqual(set(result["baselines"]["rate"]), set(result["accounts"]))
        self.assertEqual(frozen.thresholds([result])["rate"]["1e-4"], max(result["baselines"]["rate"][a] for a in frozen.benign(result)))
        with self.assertRaisesRegex(runs.Failed, "without a file"):
            runs.score(plan.quiet([3], 0.01)[0], None)

    def members(self, truth_path):
        with open(truth_path) as file:
            return sum(a["campaign"] is not None for a in json.load(file)["accounts"])


if __name__ == "__main__":
    unittest.main()
