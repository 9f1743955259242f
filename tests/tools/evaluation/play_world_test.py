"""A world played straight into detection is judged as its recording is: play_world against stillgen record and stillwatch replay."""
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, "tools", "evaluation"))
import plan
import report
import runs

KEY = ["--account-key", "hex:7374696c6c77617463682d6578616d706c65"]
WORLD = ["--split", "dev", "--seed", "13", "--mix", "chat=200,classroom=1x20,distiller=1x4,t4=1x40", "--exact", "--hours", "6"]
POLICY = f"{ROOT}/tools/evaluation/policies/1e-3.toml"


def run(words):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


def verdicts(folder):
    """What was said, of whom, when."""
    with open(f"{folder}/campaign-verdict.ndjson") as file:
        rows = [json.loads(line) for line in file]
    return [(r["campaign_id"], r["event_time"], r["state"], r["advice"]["action"], r["labels"]["distillation_like"], [a["id"] for a in r["accounts"]],
             [(e["kind"], e["weight"], e["count"]) for e in r["evidence"]]) for r in rows]


class PlayWorld(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.at = folder.name

    def play(self, name, *more):
        return run([os.environ["PLAY_WORLD"], "--config", POLICY, "--out", f"{self.at}/{name}", *KEY, *WORLD, *more])

    def test_verdicts_are_those_of_the_recording(self):
        self.play("played", "--with-answers")
        run([os.environ["STILLGEN"], "record", *KEY, *WORLD, "--out", f"{self.at}/x", "--truth", f"{self.at}/x.json"])
        with open(f"{self.at}/x.json") as file:
            allowed = sorted({f"\"owner-{a['owner']}\"" for a in json.load(file)["accounts"] if a.get("allowed")})
        run([os.environ["STILLWATCH"], "replay", "--config", POLICY, "--out", f"{self.at}/replayed", "--set", f'detect.directory_file="{self.at}/played/accounts.directory"',
             "--set", "detect.account_profiles=false", "--set", f"policy.allow_owners=[{','.join(allowed)}]", f"{self.at}/x"])
        played = verdicts(f"{self.at}/played")
        self.assertTrue(played)
        self.assertEqual(played, verdicts(f"{self.at}/replayed"))

    def test_an_evaluation_in_process_counts_what_one_of_a_recording_counts(self):
        job = plan.Job("crowd", 13, world=("--mix", "chat=150,classroom=1x20,t4=1x30", "--hours", "6"))
        settings = runs.Settings("dev", self.at, ("1e-3",), binaries=os.path.dirname(os.environ["STILLGEN"]))
        recorded, played = (runs.measure(job, dataclasses.replace(settings, in_process=p)) for p in (False, True))
        self.assertTrue(recorded["policies"]["1e-3"]["campaigns"][0]["flagged"]["step_up"])
        for what in ("campaigns", "benign", "groups", "groups_ever", "requests", "scores"):
            self.assertEqual(played["policies"]["1e-3"][what], recorded["policies"]["1e-3"][what], what)
        self.assertEqual(played["accounts"], recorded["accounts"])
        self.assertEqual(played["played"]["1e-3"]["judged"], recorded["totals"]["requests"])
        self.assertIn("whole", report.in_process([played], "1e-3"))

    def test_a_generator_alone_judges_nobody(self):
        self.assertIn("exchanges/s a core", self.play("made", "--only-generate"))
        self.assertFalse(os.path.exists(f"{self.at}/made/campaign-verdict.ndjson"))

    def test_one_account_in_so_many_with_all_it_asked(self):
        self.assertIn("one account in 1)", self.play("whole"))
        self.assertIn("one account in 4)", self.play("sampled", "--sample", "4"))
        rows = {}
        for name in ("whole", "sampled"):
            with open(f"{self.at}/{name}/truth.json") as file:
                rows[name] = {a["account"]: (a["requests"], a["harvest"]) for a in json.load(file)["accounts"]}
        self.assertEqual(rows["sampled"], {a: row for a, row in rows["whole"].items() if a % 4 == 0})

    def test_another_account_key_is_refused(self):
        done = subprocess.run([os.environ["PLAY_WORLD"], "--config", POLICY, "--out", f"{self.at}/no", "--account-key", "hex:00ff", *WORLD], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("not the configuration's", done.stdout)


if __name__ == "__main__":
    unittest.main()
