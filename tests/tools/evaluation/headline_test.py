"""README.md says what its report says; a report with a miss says so: tools/evaluation/headline.py."""
import json
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "..", "tools", "evaluation"))
import headline


def campaign(kind, flagged, accounts, found):
    return {"type": kind, "accounts": accounts, "flagged": dict.fromkeys(headline.POINTS, flagged), "found_90": found}


REPORT = {"command": "tools/evaluate --preset x", "runs": [{"scenario": "s", "variant": "", "seed": 11, "policies": {"1e-3": {
    "benign": {**{p: {"chat": [400, 2]} for p in headline.POINTS}, "ever": {"chat": [400, 7]}}, "campaigns": [campaign("t1", 0, 50, False), campaign("t4", 48, 50, True), campaign("t6", 20, 50, False)]}}}]}


class Headline(unittest.TestCase):
    def test_readme_says_what_its_report_says(self):
        with open(os.path.join(headline.ROOT, "README.md")) as file:
            text = file.read()
        self.assertEqual(headline.rewritten(text), text)

    def test_misses_are_named(self):
        text = headline.table(REPORT, "a/b.json")
        self.assertIn("1 of 3", text)
        self.assertIn("accounts): T1.**", text)
        self.assertIn("90 %): T6.", text)
        self.assertIn("68 of 150", text)
        self.assertIn("2 of 400", text)
        self.assertIn("7 of 400", text)

    def test_another_report_is_another_table(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/b.json", "w") as file:
                json.dump(REPORT, file)
            text = headline.rewritten("before\n<!-- headline of b.json -->\nold\n<!-- end of headline -->\nafter\n", folder)
        self.assertIn("68 of 150", text)
        self.assertNotIn("old", text)
        self.assertTrue(text.startswith("before\n") and text.endswith("-->\nafter\n"))
        with self.assertRaises(SystemExit):
            headline.rewritten("no place")


if __name__ == "__main__":
    unittest.main()
