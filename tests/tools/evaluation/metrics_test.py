"""Worked by hand: tools/evaluation/metrics.py."""
import math
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "..", "tools", "evaluation"))
import metrics


class Rates(unittest.TestCase):
    def test_zero_of_n_is_bounded_by_three_over_n(self):
        self.assertEqual(metrics.bound_of_zero(3000), 1e-3)
        self.assertEqual(metrics.bound_of_zero(2), 1.0)
        self.assertEqual(metrics.interval([(0, 100), (0, 200)]), (0.0, 0.01))

    def test_share_weighs_cells_by_their_size(self):
        self.assertEqual(metrics.share([(1, 10), (9, 10), (0, 20)]), 0.25)
        self.assertIsNone(metrics.share([(0, 0)]))

    def test_interval_draws_cohorts_not_accounts(self):
        # Two cohorts, one wholly flagged: a draw of two gives 0, 1/2 or 1, each end a quarter of the time.
        self.assertEqual(metrics.interval([(50, 50), (0, 50)]), (0.0, 1.0))
        # Nothing but hits is no proof of more than the rule of three says.
        self.assertEqual(metrics.interval([(10, 10), (20, 20)]), (0.9, 1.0))
        # A hundred alike vary not at all.
        self.assertEqual(metrics.interval([(1, 2)] * 100), (0.5, 0.5))
        # One cohort says nothing of how cohorts vary.
        self.assertIsNone(metrics.interval([(25, 50)]))

    def test_interval_covers_what_the_binomial_says(self):
        low, high = metrics.interval([(1, 1)] * 20 + [(0, 1)] * 80)  # 0.2 +- 1.96 * sqrt(0.2 * 0.8 / 100)
        self.assertAlmostEqual(low, 0.122, delta=0.02)
        self.assertAlmostEqual(high, 0.278, delta=0.02)

    def test_precision_at_another_prevalence(self):
        # Of 10,000 accounts 100 are of campaigns; 90 of them and 1 % of 9,900 others are flagged: 90 / 189.
        self.assertAlmostEqual(metrics.reweighted_precision(0.9, 0.01, 0.01), 90 / 189)
        self.assertEqual(metrics.reweighted_precision(0.5, 0.0, 1e-4), 1.0)
        self.assertIsNone(metrics.reweighted_precision(0.0, 0.0, 0.01))

    def test_threshold_lets_no_more_pass_than_asked(self):
        scores = [5, 4, 3, 2, 1, 1, 1, 1, 1, 1]
        for rate, above in ((0.0, 0), (0.1, 1), (0.25, 2), (0.5, 4)):
            t = metrics.threshold(scores, rate)
            self.assertEqual(sum(s > t for s in scores), above)
        self.assertEqual(metrics.threshold([], 0.1), -math.inf)

    def test_middle_and_worst_tenth(self):
        self.assertEqual(metrics.median([3, 1, 2, 10]), 2.5)
        self.assertEqual(metrics.worst_tenth([0.9, 0.1, 0.8]), 0.1)
        self.assertEqual(metrics.worst_tenth(list(range(20))), 1)  # two of twenty are no better
        self.assertEqual(metrics.worst_tenth(list(range(20)), low_is_bad=False), 18)
        self.assertEqual(metrics.percentile(list(range(1, 101)), 95), 95)


class Groups(unittest.TestCase):
    def test_b_cubed(self):
        # Campaign {a, b, c}; d, e of none. Group {a, b, d}.
        precision, recall = metrics.b_cubed([{"a", "b", "d"}], {"a": 1, "b": 1, "c": 1, "d": "d", "e": "e"})
        self.assertAlmostEqual(precision, (2 / 3 + 2 / 3 + 1 + 1 / 3 + 1) / 5)
        self.assertAlmostEqual(recall, (2 / 3 + 2 / 3 + 1 / 3 + 1 + 1) / 5)

    def test_b_cubed_of_the_truth_is_one_and_of_one_heap_is_not(self):
        class_of = {i: i % 3 for i in range(9)}
        self.assertEqual(metrics.b_cubed([{i for i in range(9) if i % 3 == c} for c in range(3)], class_of), (1.0, 1.0))
        precision, recall = metrics.b_cubed([set(range(9))], class_of)
        self.assertAlmostEqual(precision, 1 / 3)
        self.assertEqual(recall, 1.0)

    def test_b_cubed_counts_an_item_of_two_groups_in_the_larger(self):
        self.assertEqual(metrics.b_cubed([{"a", "x"}, {"a", "b", "c"}], {"a": 1, "b": 1, "c": 1}), (1.0, 1.0))

    def test_found_is_half_of_the_campaign_in_one_pure_group(self):
        members = set(range(10))
        self.assertTrue(metrics.is_found([set(range(5))], members, 90))
        self.assertFalse(metrics.is_found([set(range(4)), {4, 5, 6, 7}], members, 90))  # two halves are not one
        self.assertTrue(metrics.is_found([set(range(9)) | {100}], members, 90))
        self.assertFalse(metrics.is_found([set(range(8)) | {100}], members, 90))
        self.assertTrue(metrics.is_found([set(range(8)) | {100}], members, 50))

    def test_calibration(self):
        pairs = [(0.8, True), (0.8, False), (0.999, True), (1.0, True)]
        self.assertEqual(metrics.calibration(pairs), [(0.7, 0.9, 2, 0.8, 0.5), (0.99, 1.0, 2, 0.9995, 1.0)])
        self.assertAlmostEqual(metrics.brier(pairs), (0.04 + 0.64 + 1e-6 + 0) / 4)


if __name__ == "__main__":
    unittest.main()
