"""Each baseline on a case small enough to know the answer."""
import itertools
import random
import unittest

import numpy as np

from recording import key_id, recorded
from baselines import METHODS, fraudar, minhash_union_find, mmd, network_grouping, prada, rate, synchrotrap, texts


def words(seed, count):
    return [int(w) for w in np.random.default_rng(seed).integers(0, 2**32, count)]


def scored(module, rows, **parameters):
    return {int(identity, 16): score for identity, score in module.scores(recorded(rows), **parameters).items()}


class All(unittest.TestCase):
    def test_every_account_gets_a_finite_score_and_the_same_one_twice(self):
        rng = random.Random(1)
        rows = [dict(key=rng.randrange(1, 9), at_s=60 * i, tokens=words(rng.randrange(20), 12), address=(10, 0, rng.randrange(3), 1)) for i in range(200)]
        rows.append(dict(key=50))  # asks without a word, from nowhere
        for name, module in METHODS.items():
            with self.subTest(name):
                first, second = module.scores(recorded(rows)), module.scores(recorded(rows))
                self.assertEqual(first, second)
                self.assertEqual(set(first), {key_id(k) for k in (*range(1, 9), 50)})
                self.assertTrue(np.isfinite(list(first.values())).all())

    def test_nothing_recorded_gives_nothing(self):
        for name, module in METHODS.items():
            with self.subTest(name):
                self.assertEqual(module.scores(recorded([])), {})

    def test_every_set_of_the_grid_runs(self):
        rows = [dict(key=1 + i % 4, at_s=60 * i, tokens=words(i % 7, 12), address=(10, 0, 0, 1)) for i in range(60)]
        found = recorded(rows)
        for name, module in METHODS.items():
            for parameters in module.GRID:
                with self.subTest(name, **parameters):
                    self.assertEqual(len(module.scores(found, **parameters)), 4)


class Rate(unittest.TestCase):
    def test_the_busiest_window_counts(self):
        rows = [dict(key=1, at_s=3600 * i, tokens_out=100) for i in range(6)] + [dict(key=2, at_s=7200 + i, tokens_out=1) for i in range(4)]
        self.assertEqual(scored(rate, rows, window_s=3600, of="requests"), {1: 1, 2: 4})
        self.assertEqual(scored(rate, rows, window_s=None, of="requests"), {1: 6, 2: 4})
        self.assertEqual(scored(rate, rows, window_s=None, of="tokens_out"), {1: 600, 2: 4})


class Prada(unittest.TestCase):
    def test_distances_are_to_the_nearest_of_those_kept(self):
        angles = np.radians([0, 60, 90, 88])
        vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
        chord = lambda degrees: 2 * np.sin(np.radians(degrees) / 2)
        # 60 is kept; 90 is 30 from it, which is not above the mean less the deviation of the one distance, so 88 is 28 from 60.
        np.testing.assert_allclose(prada._nearest_distances(vectors), [chord(60), chord(30), chord(28)], atol=1e-3)

    def test_queries_made_to_order_are_less_normal_than_a_mixture_of_words(self):
        vocabulary = words(1, 400)
        rng = random.Random(2)
        rows = [dict(key=1, tokens=rng.sample(vocabulary, 30)) for _ in range(60)]
        for i in range(30):  # a seed, and the seed with one word changed
            base = rng.sample(vocabulary, 30)
            rows += [dict(key=2, tokens=base), dict(key=2, tokens=base[:-1] + words(100 + i, 1))]
        rows += [dict(key=3, tokens=rng.sample(vocabulary, 30)) for _ in range(5)]
        found = scored(prada, rows, queries_min=20)
        self.assertGreater(found[2], 2 * found[1])
        self.assertGreater(found[1], 0)
        self.assertEqual(found[3], 0)


class Mmd(unittest.TestCase):
    def test_the_estimate_is_the_double_sum(self):
        rng = np.random.default_rng(3)
        part, reference = rng.normal(size=(5, 4)).astype(np.float32), rng.normal(size=(9, 4)).astype(np.float32)
        k = lambda x, y: np.exp(-0.3 * float(((x - y)**2).sum()))
        own = np.mean([k(a, b) for a, b in itertools.permutations(part, 2)])
        theirs = np.mean([k(a, b) for a, b in itertools.permutations(reference, 2)])
        across = np.mean([k(a, b) for a in part for b in reference])
        self.assertAlmostEqual(mmd.unbiased(part, reference, 0.3, theirs), own + theirs - 2 * across, places=5)

    def test_who_asks_of_one_subject_is_far_from_all(self):
        vocabulary, subject = words(4, 2000), words(5, 25)
        rng = random.Random(6)
        rows = [dict(key=k, tokens=rng.sample(vocabulary, 20)) for k in range(1, 21) for _ in range(10)]
        rows += [dict(key=21, tokens=rng.sample(subject, 20)) for _ in range(10)] + [dict(key=22, tokens=words(7, 20))]
        found = scored(mmd, rows, window=10)
        self.assertEqual(max(found, key=found.get), 21)
        self.assertGreater(found[21], 5 * sorted(found.values())[-2])
        self.assertEqual(found[22], 0)


class NetworkGrouping(unittest.TestCase):
    ROWS = [dict(key=1, address=(10, 0, 0, 1)), dict(key=2, address=(10, 0, 0, 1)), dict(key=3, address=(10, 0, 0, 2)),
            dict(key=4, address=(10, 9, 0, 1)), dict(key=5), dict(key=6), dict(key=7, address=(0x20, 1, *range(14)))]

    def test_size_of_the_community_at_an_address(self):
        self.assertEqual(scored(network_grouping, self.ROWS), {1: 2, 2: 2, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1})

    def test_shorter_prefixes_join_more(self):
        self.assertEqual(scored(network_grouping, self.ROWS, bits4=24, bits6=48)[3], 3)
        self.assertEqual(scored(network_grouping, self.ROWS, bits4=8, bits6=48)[4], 4)

    def test_what_passes_the_bound_is_said(self):
        rows = [dict(key=1 + i, address=(10, 0, i % 8, 1)) for i in range(64)]
        before, network_grouping.PAIRS_MAX = network_grouping.PAIRS_MAX, 32
        try:
            with self.assertLogs("baselines", "WARNING") as said:
                self.assertEqual(len(scored(network_grouping, rows)), 64)
        finally:
            network_grouping.PAIRS_MAX = before
        self.assertIn("of 64 (account, prefix) pairs", said.output[0])


class SynchroTrap(unittest.TestCase):
    def test_equal_prompts_on_one_day(self):
        day = 86400
        rows = [dict(key=k, at_s=3600 * k, tokens=words(s, 9)) for k in (1, 2, 3) for s in (1, 2)]
        rows += [dict(key=4, at_s=2 * day, tokens=words(s, 9)) for s in (1, 2)] + [dict(key=5, at_s=60, tokens=words(3, 9))]
        found = scored(synchrotrap, rows, bin_s=day, similarity=0.5)
        self.assertEqual(found, {1: 3.99, 2: 3.99, 3: 3.99, 4: 1, 5: 1})
        self.assertEqual(scored(synchrotrap, rows, bin_s=None, similarity=0.5)[4], 4.99)

    def test_one_action_in_common_of_many_is_below_the_threshold(self):
        rows = [dict(key=k, tokens=words(s if s == 0 else 100 * k + s, 9)) for k in (1, 2) for s in range(4)]
        self.assertEqual(scored(synchrotrap, rows, similarity=0.2), {1: 1 + 0.99 / 7, 2: 1 + 0.99 / 7})
        self.assertEqual(scored(synchrotrap, rows, similarity=0.1)[1], 2 + 0.99 / 7)
        self.assertEqual(scored(synchrotrap, rows, similarity=0.1, common_min=2)[1], 1 + 0.99 / 7)


class MinhashUnionFind(unittest.TestCase):
    def test_minima_agree_as_often_as_shingles_are_shared(self):
        base = words(11, 102)
        rows = [dict(tokens=base), dict(tokens=base[:51] + words(12, 51))]
        sketch, _ = texts.minhash(texts.distinct(recorded(rows)), permutations=1024)
        self.assertAlmostEqual(float((sketch[0] == sketch[1]).mean()), 49 / 151, delta=0.06)

    def test_a_template_with_slots_joins_and_a_rewording_does_not(self):
        template = words(21, 30)
        rows = [dict(key=k, tokens=template + words(1000 + 10 * k + i, 3)) for k in (1, 2, 3) for i in range(3)]
        rows += [dict(key=4, tokens=words(2000 + i, 33)) for i in range(3)]
        found = scored(minhash_union_find, rows, jaccard=0.5, support=1)
        self.assertEqual({k: int(v) for k, v in found.items()}, {1: 3, 2: 3, 3: 3, 4: 1})

    def test_support_asks_for_so_many_prompts_in_common(self):
        rows = [dict(key=k, tokens=words(s, 12)) for k, s in ((1, 1), (2, 1), (2, 2), (3, 2), (3, 3), (4, 2), (4, 3))]
        self.assertEqual({k: int(v) for k, v in scored(minhash_union_find, rows, support=1).items()}, {1: 4, 2: 4, 3: 4, 4: 4})
        self.assertEqual({k: int(v) for k, v in scored(minhash_union_find, rows, support=2).items()}, {1: 1, 2: 1, 3: 2, 4: 2})


class Bounds(unittest.TestCase):
    def test_the_most_shared_things_are_left_out_first_and_said(self):
        # Three prompts shared by two accounts each, three by all twelve; 3 * 4 + 144 pairs fit.
        rows = [dict(key=k, tokens=words(s, 12)) for s in range(3) for k in (2 * s + 1, 2 * s + 2)]
        rows += [dict(key=k, tokens=words(10 + s, 12)) for s in range(3) for k in range(1, 13)]
        before, texts.PAIRS_MAX = texts.PAIRS_MAX, 160
        try:
            for module, parameters in ((synchrotrap, dict(similarity=0.1)), (minhash_union_find, dict(support=2))):
                with self.assertLogs("baselines", "WARNING") as said:
                    found = scored(module, rows, **parameters)
                self.assertIn("2 things that 12 to 12 accounts share are left out", said.output[0])
                self.assertEqual({k: int(v) for k, v in found.items() if k <= 4 or k == 12},
                                 {1: 12, 2: 12, 3: 12, 4: 12, 12: 12} if module is synchrotrap else {1: 2, 2: 2, 3: 2, 4: 2, 12: 1})
        finally:
            texts.PAIRS_MAX = before


class Fraudar(unittest.TestCase):
    def test_greedy_is_the_slow_greedy_and_at_least_half_of_the_best(self):
        rng = random.Random(31)
        for _ in range(20):
            edges = sorted({(rng.randrange(4), 4 + rng.randrange(5)) for _ in range(10)})
            weights = [rng.uniform(0.3, 1) for _ in edges]
            density = lambda nodes: sum(w for (a, b), w in zip(edges, weights) if a in nodes and b in nodes) / len(nodes)
            removed, densities = fraudar._peel(np.array([a for a, _ in edges]), np.array([b for _, b in edges]), np.array(weights), 9)
            standing = {v for e in edges for v in e}
            self.assertEqual(set(removed), standing)
            best = max(density(s) for n in range(1, 10) for s in itertools.combinations(sorted(standing), n))
            self.assertGreaterEqual(max(densities) + 1e-9, best / 2)
            for node, claimed in zip(removed, densities):
                self.assertAlmostEqual(claimed, density(standing))
                held = lambda v: sum(w for (a, b), w in zip(edges, weights) if v in (a, b) and a in standing and b in standing)
                self.assertAlmostEqual(held(node), min(held(v) for v in standing))
                standing.remove(node)

    def test_a_block_under_cover_comes_before_a_popular_prompt(self):
        shared = [words(s, 20) for s in range(6)]
        popular = words(50, 20)
        rows = [dict(key=k, tokens=t) for k in range(1, 9) for t in shared]  # eight accounts, six prompts
        rows += [dict(key=k, tokens=popular) for k in range(1, 41)]  # everybody, as cover for the eight
        rows += [dict(key=k, tokens=words(100 + k, 20)) for k in range(9, 41)]
        found = scored(fraudar, rows, blocks=1)
        self.assertEqual({k for k, v in found.items() if v == max(found.values())}, set(range(1, 9)))

    def test_three_rare_prompts_of_eight_outweigh_three_popular_ones_of_forty(self):
        rows = [dict(key=k, tokens=words(s, 20)) for k in range(1, 9) for s in range(3)]
        rows += [dict(key=k, tokens=words(50 + s, 20)) for k in range(9, 49) for s in range(3)]  # as many edges a node, were all equal
        found = scored(fraudar, rows, blocks=1)
        self.assertEqual({k for k, v in found.items() if v == max(found.values())}, set(range(1, 9)))

    def test_the_second_block_is_found_below_the_first(self):
        rows = [dict(key=k, tokens=words(s, 20)) for k in range(1, 9) for s in range(6)]
        rows += [dict(key=k, tokens=words(60 + s, 20)) for k in range(11, 15) for s in range(3)]
        rows += [dict(key=k, tokens=words(80, 20)) for k in (21, 22)]
        found = scored(fraudar, rows, blocks=3)
        self.assertGreater(found[1], found[11])
        self.assertGreater(found[11], found[21])
        self.assertGreater(found[21], 0)

    def test_what_passes_the_bound_is_said(self):
        rows = [dict(key=k, tokens=words(s, 20)) for k in range(1, 9) for s in range(20)]
        before, fraudar.EDGES_MAX = fraudar.EDGES_MAX, 100
        try:
            with self.assertLogs("baselines", "WARNING") as said:
                self.assertEqual(len(scored(fraudar, rows)), 8)
        finally:
            fraudar.EDGES_MAX = before
        self.assertIn("(account, bucket) pairs", said.output[0])


if __name__ == "__main__":
    unittest.main()
