"""Verdicts worked out again by hand: tools/evaluation/ablation.py."""
import math
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "..", "tools", "evaluation"))
import ablation

EVIDENCE = [["template_collision", "content", 10.0], ["exact_rules", "content", 8.0], ["semantic_cluster", "content", 12.0], ["division_of_work", "work", 6.0], ["elicitation", "content", 2.5], ["parameters_and_client", "stack", 4.0]]


def group(said, evidence=EVIDENCE):
    return {"said": said, "prior": -11.5, "evidence": evidence, "of_any": 50}


class Ablation(unittest.TestCase):
    def test_by_hand(self):
        self.assertAlmostEqual(ablation.distillation(EVIDENCE, -11.5), 1 / (1 + math.exp(-9)))  # -11.5 + 10 + 6 + 2.5 + 4 / 2
        self.assertAlmostEqual(ablation.distillation(EVIDENCE, -11.5, "template_collision"), 1 / (1 + math.exp(-7)))  # the family's second stands in
        self.assertEqual(ablation.distillation(EVIDENCE, -11.5, "division_of_work"), 0.5)  # one strong family is left

    def test_what_falls_and_what_cannot_be_worked_out(self):
        known, unknown, lost = ablation.count([group(0.9999), group(0.9999), group(0.3)], 0.7)
        self.assertEqual((known, unknown), (2, 1))
        self.assertEqual(lost["division_of_work"], (2, 100))
        self.assertEqual(lost["template_collision"], (0, 0))

    def test_the_threshold_is_the_policy_s(self):
        self.assertTrue(0 < ablation.threshold_of("1e-3") < 1)


if __name__ == "__main__":
    unittest.main()
