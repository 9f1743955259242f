"""One feature alone against worked examples: tools/evaluation/features.py."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(__file__))
from recording import block, file_of, path_of

import exchanges
import features


class Features(unittest.TestCase):
    def test_area_by_hand(self):
        self.assertEqual(features.auc([1, 2, 3, 4], [False, False, True, True]), 1.0)
        self.assertEqual(features.auc([1, 2, 3, 4], [True, True, False, False]), 0.0)
        self.assertEqual(features.auc([5, 5, 5, 5], [True, False, True, False]), 0.5)
        self.assertEqual(features.auc([1, 3, 2, 4], [False, False, True, True]), 0.75)
        self.assertEqual(features.auc([1, 1, 2], [False, True, True]), 0.75)
        self.assertIsNone(features.auc([1, 2], [True, True]))

    def setUp(self):
        # Accounts 1 and 2 stream and answer at length, 3 and 4 do neither. 1, 2 and 3 share a /24 of three owners.
        rows = [(1, 1, 90, (10, 0, 0, 1)), (2, 1, 80, (10, 0, 0, 2)), (3, 0, 10, (10, 0, 0, 3)), (4, 0, 20, (10, 0, 9, 1)), (1, 1, 70, (10, 0, 0, 1))]
        blocks = [block(i + 1, key, at_s=i, tokens=(7, 8, key), address=address, tokens_out=out, flags=1 << 22 | stream) for i, (key, stream, out, address) in enumerate(rows)]
        self.recorded = exchanges.read(path_of(file_of(blocks)))
        self.ids = self.recorded.account_ids

    def test_a_feature_that_tells_all_by_itself_is_seen(self):
        campaign_of = dict(zip(self.ids, ("t1-1", "t1-1", None, None)))
        alone = features.alone(self.recorded, campaign_of)
        self.assertEqual(alone["streamed, share"], 1.0)
        self.assertEqual(alone["answer tokens, mean"], 1.0)
        self.assertEqual(alone["exchanges"], 0.75)
        self.assertEqual(alone["temperature, mean"], 0.5)
        self.assertEqual(features.of_accounts(self.recorded)["answer tokens, mean"].tolist(), [80, 80, 10, 20])

    def test_accounts_without_a_truth_count_on_neither_side(self):
        self.assertIsNone(features.alone(self.recorded, {self.ids[0]: "t1-1"})["exchanges"])

    def test_an_address_is_shared_by_owners_not_by_accounts(self):
        self.assertEqual(features.shared_addresses(self.recorded, dict(zip(self.ids, (1, 2, 3, 4)))), set(self.ids[:3]))
        self.assertEqual(features.shared_addresses(self.recorded, dict(zip(self.ids, (1, 1, 1, 4)))), set())


if __name__ == "__main__":
    unittest.main()
