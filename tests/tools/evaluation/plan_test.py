"""Presets name their worlds apart and crowds have the accounts asked for: tools/evaluation/plan.py and keep.py."""
import dataclasses
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "..", "tools", "evaluation"))
import keep
import plan
import runs


def accounts_of(mix):
    total = 0
    for part in mix.split(","):
        groups, _, each = part.partition("=")[2].partition("x")
        total += int(groups) * int(each or 1)
    return total


class Plan(unittest.TestCase):
    def test_crowds_have_the_accounts_asked_for(self):
        for n in (760, 2_000, 30_000, 300_000):
            mix = plan.crowd(n)
            self.assertEqual(accounts_of(mix), n)
            self.assertNotIn("=0", mix)
            self.assertGreater(int(mix.split(",")[0].partition("=")[2]), n // 3)  # most are people

    def test_no_two_runs_of_a_preset_share_files(self):
        for name, preset in plan.PRESETS.items():
            for size in (0.1, 1):
                names = [job.name for job in preset([11, 12], size)]
                self.assertEqual(len(names), len(set(names)), name)

    def test_a_size_leaves_the_largest_worlds_out(self):
        self.assertEqual({job.variant for job in plan.pools([1])}, {"pool 20", "pool 200", "pool 2000", "pool 20000"})
        self.assertEqual({job.variant for job in plan.pools([1], 0.1)}, {"pool 20", "pool 200", "pool 2000"})
        self.assertEqual([job.variant for job in plan.quiet([1], 0.01)], ["3000 accounts"])
        self.assertEqual({job.variant for job in plan.prevalence([1])}, {"prevalence 0.01", "prevalence 0.001", "prevalence 0.0001"})


    def test_industrial_is_a_campaign_of_28_million_exchanges_among_nine_times_as_many_accounts(self):
        (job,) = plan.industrial([1])
        mix = job.world[job.world.index("--mix") + 1]
        self.assertEqual((accounts_of(mix), mix.split(",")[-1], job.share), (250_000, "t1=1x25000", 1))
        self.assertEqual(25_000 * float(job.world[job.world.index("--days") + 1]) * float(job.world[job.world.index("--harvest-a-day") + 1]), 28_600_000)
        self.assertEqual([(j.variant, j.share) for j in plan.industrial([1], 0.1)], [("2500 of 25000 accounts", 0.1)])
        for size, share in ((1, 0.1), (0.01, 0.01)):
            self.assertEqual([j.share for j in plan.full([1], size) if j.scenario == "industrial"], [share])


class Keep(unittest.TestCase):
    def test_finished_runs_are_known_again_by_what_decides_them(self):
        job, settings = plan.Job("t1", 11), runs.Settings("dev", "/a", ("1e-3",))
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/kept"
            keep.Runs(path).add(job, settings, {"seed": 11})
            with open(path, "a") as file:
                file.write('["cut off')
            kept = keep.Runs(path)
            self.assertEqual(kept.get(job, dataclasses.replace(settings, out="/b")), {"seed": 11})
            for other in (dataclasses.replace(settings, sets=("a=b",)), dataclasses.replace(settings, policies=("1e-4",)), dataclasses.replace(settings, split="test")):
                self.assertIsNone(kept.get(job, other))
            self.assertIsNone(kept.get(dataclasses.replace(job, seed=12), settings))


if __name__ == "__main__":
    unittest.main()
