"""Files of four small exchanges, rewritten: tools/evaluation/rewrite.py."""
import os
import struct
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "..", "tools", "evaluation"))
import rewrite


def block(number, account, dialect=1, tokens=(7, 8, 7), flags=1 << 22 | 1 << 11 | 1 << 1, temperature=700, asked_s=0):
    data = bytearray(rewrite.HEADER_BYTES)
    struct.pack_into("<Q", data, 0, number)
    struct.pack_into("<qqqq", data, rewrite.START, *(asked_s * 10**9 + after for after in (0, 1, 2, 3)))
    struct.pack_into("<IB", data, rewrite.FLAGS, flags, dialect)
    data[rewrite.IDENTITY:rewrite.IDENTITY + 16] = bytes([account] * 16)
    struct.pack_into("<i", data, rewrite.SAMPLING, temperature)
    struct.pack_into("<7I", data, rewrite.COUNTS, 1, 0, 0, 0, len(tokens), 0, 0)
    return data + struct.pack("<Q", 99) + struct.pack(f"<{len(tokens)}I", *tokens) + b"m"


def account_of(data):
    return data[rewrite.IDENTITY]


class Rewrite(unittest.TestCase):
    def setUp(self):
        self.blocks = [block(i + 1, account) for i, account in enumerate((1, 1, 2, 2) * 8)] + [block(40, 9, dialect=2)]

    def test_a_file_comes_back_whole_and_private(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/x"
            head = b"SWEXCHG3" + struct.pack("<II", rewrite.HEADER_BYTES, 0) + bytes(16)
            rewrite.write(path, head, self.blocks)
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
            self.assertEqual(rewrite.read(path), (head, self.blocks))
            with open(path, "r+b") as file:
                file.seek(100)
                file.write(b"\xff")
            with self.assertRaises(SystemExit):
                rewrite.read(path)

    def test_shuffle_keeps_each_account_its_number_and_its_dialect(self):
        before = [account_of(b) for b in self.blocks]
        rewrite.shuffle(self.blocks, 1, {})
        after = [account_of(b) for b in self.blocks]
        self.assertNotEqual(before, after)
        self.assertEqual(sorted(before), sorted(after))
        self.assertEqual(after[-1], 9)
        self.assertEqual([struct.unpack_from("<Q", b)[0] for b in self.blocks], [*range(1, 33), 40])

    def test_shuffle_stays_within_a_language(self):
        rewrite.shuffle(self.blocks, 1, {bytes([2] * 16): "other"})
        self.assertEqual([account_of(b) for b in self.blocks], [1, 1, 2, 2] * 8 + [9])  # one account in each stratum

    def test_no_timing_deals_a_days_moments_out_and_keeps_each_accounts_order(self):
        day = 86_400
        asked = [0, 10, 20, 30, 40, 50, 60, 70, day + 5, day + 6]
        blocks = [block(i + 1, i % 2 + 1, asked_s=t, tokens=(i,)) for i, t in enumerate(asked)]
        rewrite.no_timing(blocks, 1, {})
        times = [struct.unpack_from("<qqqq", b, rewrite.START) for b in blocks]
        self.assertEqual([t[0] for t in times], [t * 10**9 for t in asked])  # the same moments, in order
        self.assertTrue(all(t[k] == t[0] + k for t in times for k in range(4)))  # each as long as before
        self.assertEqual([struct.unpack_from("<Q", b)[0] for b in blocks], list(range(1, 11)))
        said = lambda account: [struct.unpack_from("<I", b, rewrite.HEADER_BYTES + 8)[0] for b in blocks if account_of(b) == account]
        self.assertEqual((said(1), said(2)), ([0, 2, 4, 6, 8], [1, 3, 5, 7, 9]))
        self.assertNotEqual([account_of(b) for b in blocks], [1, 2] * 5)
        self.assertEqual({account_of(b) for b in blocks[8:]}, {1, 2})  # days stay apart

    def test_vocabulary_is_another_one_to_one(self):
        rewrite.vocabulary(self.blocks, 1, {})
        a, b, c = struct.unpack_from("<3I", self.blocks[0], rewrite.HEADER_BYTES + 8)
        self.assertEqual(a, c)
        self.assertEqual(len({a, b, 7, 8}), 4)
        self.assertEqual(len({rewrite.mixed(t, 1) for t in range(100_000)}), 100_000)
        self.assertEqual(self.blocks[0][-1:], b"m")
        self.assertEqual(struct.unpack_from("<Q", self.blocks[0], rewrite.HEADER_BYTES), (99,))

    def test_no_parameters_leaves_the_rest(self):
        rewrite.no_parameters(self.blocks, 1)
        self.assertEqual(bytes(self.blocks[0]), bytes(block(1, 1, flags=1 << 22 | 1 << 1, temperature=0)))


if __name__ == "__main__":
    unittest.main()
