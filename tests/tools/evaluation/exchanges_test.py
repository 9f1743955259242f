"""The reader of recorded exchanges: what stillgen wrote comes out, and what is not whole is refused with the reason."""
import collections
import json
import struct
import tempfile
import unittest

import numpy as np

from recording import block, file_of, path_of, recorded, stillgen
import exchanges


class ReadsWhatStillgenWrote(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        path, truth_path = stillgen(cls.folder.name, 7, "chat=40,agent=10,t1=1x12")
        with open(truth_path) as file:
            cls.truth = json.load(file)
        with open(path, "rb") as file:
            cls.data = file.read()
        cls.recorded = exchanges.read(path)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_accounts_are_those_of_the_truth(self):
        asked = collections.Counter(self.recorded.account_ids[a] for a in self.recorded.account)
        self.assertEqual(asked, {a["key_id"]: a["requests"] for a in self.truth["accounts"]})
        self.assertEqual(len(self.recorded), self.truth["totals"]["requests"])

    def test_times_addresses_and_answers_are_plausible_or_known(self):
        h = self.recorded.header
        by_id = {a["key_id"]: a for a in self.truth["accounts"]}
        for number, identity in enumerate(self.recorded.account_ids):
            mine = h[self.recorded.account == number]
            first = np.datetime64(by_id[identity]["first"][:-1], "ns").astype(np.int64)
            self.assertEqual(mine["request_end_ns"].min(), first)
            self.assertEqual(int((mine["status"] == 429).sum()), by_id[identity]["rate_limited"])
        self.assertTrue(np.isin(h["client_length"], (4, 16)).all())
        self.assertTrue((h["tokens_out"][h["status"] == 200] > 0).all())
        self.assertTrue((h["first_token_ns"] <= h["response_end_ns"]).all())

    def test_token_hashes_are_what_a_walk_by_hand_finds(self):
        at, row = 32, 0
        while True:
            size, _ = struct.unpack_from("<QQ", self.data, at)
            if size == 0:
                break
            at += 16
            chain, issued, returned = struct.unpack_from("<III", self.data, at + 260)
            parts = struct.unpack_from("<IIII", self.data, at + 272)
            begin = at + 296 + 8 * (chain + issued + returned)
            for part, count in enumerate(parts):
                self.assertEqual(self.recorded.tokens(part).of(row).tolist(), list(struct.unpack_from(f"<{count}I", self.data, begin)))
                begin += 4 * count
            self.assertEqual(self.recorded.model(row).encode(), self.data[begin:at + size])
            at += (size + 7) // 8 * 8
            row += 1
        self.assertEqual(row, len(self.recorded))
        self.assertGreater(self.recorded.tokens(exchanges.INSTRUCTION).counts.mean(), 3)


class RefusesWhatIsNotWhole(unittest.TestCase):
    def refused(self, data):
        path = path_of(data)
        with self.assertRaises(exchanges.BadFile) as caught:
            exchanges.read(path)
        self.assertTrue(str(caught.exception).startswith(path), caught.exception)
        return str(caught.exception)

    def test_foreign_files(self):
        self.assertIn("no file of recorded exchanges", self.refused(b""))
        self.assertIn("no file of recorded exchanges", self.refused(b"\xd4\xc3\xb2\xa1" + bytes(100)))
        self.assertIn("another version", self.refused(b"SWEXCHG1" + bytes(100)))
        with self.assertRaises(exchanges.BadFile):
            exchanges.read("/nowhere/at/all")

    def test_another_header_size(self):
        whole = bytearray(file_of([block()]))
        whole[8:12] = struct.pack("<I", 304)
        self.assertIn("304 bytes, ours 296", self.refused(bytes(whole)))

    def test_every_cut_is_told(self):
        whole = file_of([block(1, tokens=[1, 2, 3]), block(2, tokens=[4])])
        for length in range(8, len(whole)):
            self.assertIn("cut short", self.refused(whole[:length]), length)

    def test_every_flipped_byte_of_a_block_is_told(self):
        whole = file_of([block(1, tokens=[1, 2, 3])])
        for at in range(48, 48 + 296 + 12):
            bad = bytearray(whole)
            bad[at] ^= 1
            self.assertIn("record 1: it is damaged", self.refused(bytes(bad)))

    def test_blocks_that_lie(self):
        self.assertIn("record 2: it is out of order", self.refused(file_of([block(2), block(1)])))
        self.assertIn("record 2: it is out of order", self.refused(file_of([block(1), block(1)])))
        lying = bytearray(block(1, tokens=[1, 2]))
        lying[276:280] = struct.pack("<I", 3)
        self.assertIn("its lengths do not add up", self.refused(file_of([bytes(lying)])))
        self.assertIn("out of its bounds", self.refused(file_of([block(1, model=b"m" * 65)])))
        self.assertIn("its size is impossible", self.refused(file_of([b"\0" * 40])))
        self.assertIn("another number of records", self.refused(file_of([block(1)], count=2)))
        self.assertIn("something follows the end", self.refused(file_of([block(1)]) + bytes(8)))

    def test_a_file_without_exchanges_is_whole(self):
        self.assertEqual(len(exchanges.read(path_of(file_of([])))), 0)

    def test_who_has_no_key_has_no_account(self):
        found = exchanges.read(path_of(file_of([block(1, key=5), block(2, key=6, flags=0), block(3, key=5, tokens=[8, 9])])))
        self.assertEqual(found.account_ids, ["00" * 15 + "05"])
        self.assertEqual((found.account.tolist(), found.without_key), ([0, 0], 1))
        self.assertEqual(found.tokens(exchanges.INSTRUCTION).of(1).tolist(), [8, 9])

    def test_accounts_are_numbered_in_the_order_they_come(self):
        found = recorded([dict(key=9), dict(key=2), dict(key=9), dict(key=1)])
        self.assertEqual(found.account.tolist(), [0, 1, 0, 2])
        self.assertTrue(found.account_ids[0].endswith("09"))


if __name__ == "__main__":
    unittest.main()
