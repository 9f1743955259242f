"""Reads a file of recorded exchanges (docs/recorded-exchanges.md, written by `stillgen record`) into numpy columns.

    recorded = exchanges.read("t1.exchanges")
    recorded.header["request_end_ns"]          # one value an exchange, named as in dataplane/llm/exchange.h
    recorded.account, recorded.account_ids     # number of the account of each exchange; 32 hex digits of each number
    recorded.tokens(INSTRUCTION).of(7)         # token hashes of the eighth exchange's instruction

For offline tools only. Headers are copied (about 300 bytes an exchange); token hashes are copied part by part when first asked for. The
file stays mapped meanwhile. Its marks are not compared with a salt or key, which this reader is not given; all else that
dataplane/llm/exchange_file.cc refuses is refused here, with the same words, as BadFile.
"""
import dataclasses
import mmap
import struct

import numpy as np
import xxhash

SYSTEM, INSTRUCTION, TAIL, OUTPUT = range(4)  # Part in exchange.h
HAS_KEY = 1 << 22  # kHasKey

_MAGIC = b"SWEXCHG3"
_FAMILY_BYTES = 7  # of the magic, the same in every version
_HEAD_BYTES = 32
_BLOCK_BYTES_MAX = 1 << 20
_PART_TOKENS_MAX, _PREFIX_CHAIN_MAX, _MODEL_LENGTH_MAX, _PARTNERS_MAX = 4096, 64, 64, 4
_CHUNK = 1 << 16  # exchanges whose headers are copied at a time

# ExchangeHeader of dataplane/llm/exchange.h, field by field, padded as a C++ compiler pads it.
HEADER = np.dtype([
    ("order", "<u8", 3), ("request_start_ns", "<i8"), ("request_end_ns", "<i8"), ("first_token_ns", "<i8"), ("response_end_ns", "<i8"),
    ("flow_id", "<u8"), ("flags", "<u4"), ("dialect", "u1"), ("api", "u1"), ("finish", "u1"), ("key_id", "u1", 16),
    ("organisation_id", "<u8"), ("end_user_id", "<u8"), ("client_bytes", "u1", 16), ("client_length", "u1"),
    ("ja4_hash", "<u8"), ("http2_hash", "<u8"), ("agent_family_hash", "<u8"), ("status", "<u2"), ("turns", "<u2"), ("tools", "<u2"),
    ("logit_bias_count", "<u2"), ("n", "<u2"), ("prefix_deep_from", "<u2"), ("temperature_milli", "<i4"), ("top_p_milli", "<i4"), ("max_tokens", "<u4"),
    ("tokens_in", "<u4"), ("tokens_out", "<u4"), ("request_bytes", "<u8"), ("response_bytes", "<u8"), ("body_hash", "<u8"),
    ("part_hash", "<u8", 4), ("logit_bias_hash", "<u8"), ("request_id_hash", "<u8"), ("config_generation", "<u4"),
    ("prefix_chain_count", "<u4"), ("ids_issued_count", "<u4"), ("ids_returned_count", "<u4"), ("part_tokens", "<u4", 4), ("model_length", "<u4"), ("partners", "<u4"),
], align=True)


class BadFile(ValueError):
    """The file is no file of recorded exchanges, of another version, cut or damaged. The message names it."""


@dataclasses.dataclass(frozen=True)
class Ragged:
    """One array of values for each exchange, end to end: values[starts[i]:starts[i + 1]]."""
    values: np.ndarray
    starts: np.ndarray

    def of(self, i):
        return self.values[self.starts[i]:self.starts[i + 1]]

    @property
    def counts(self):
        return np.diff(self.starts)


def gather(values, begins, counts):
    """The slices values[begins[i] : begins[i] + counts[i]] end to end."""
    starts = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))
    index = np.repeat(begins.astype(np.int64) - starts[:-1], counts) + np.arange(starts[-1])
    return Ragged(values[index], starts)


class Exchanges:
    """Exchanges of accounts, in the file's order. Those without a credential belong to no account and are left out."""

    def __init__(self, path, header, words=None, blocks=None, without_key=0):
        self.path, self.header, self.without_key = path, header, without_key
        self._words, self._blocks = words, blocks  # the file as uint32; first byte of each block
        self._tokens = {}  # by part, once asked for
        keys, first, inverse = np.unique(header["key_id"], axis=0, return_index=True, return_inverse=True)
        rank = np.empty(len(keys), np.int32)
        rank[np.argsort(first, kind="stable")] = np.arange(len(keys))  # numbered in the order of their first exchange
        self.account = rank[inverse.reshape(-1)]
        self.account_ids = [""] * len(keys)
        for key, number in zip(keys, rank):
            self.account_ids[number] = key.tobytes().hex()

    def __len__(self):
        return len(self.header)

    @property
    def seconds(self):
        """Traffic time at which each request was complete, in seconds since the first."""
        times = self.header["request_end_ns"]
        return (times - times.min()) / 1e9 if len(times) else np.zeros(0)

    def tokens(self, part):
        """Token hashes (docs/text.md) of one part of every exchange."""
        if part not in self._tokens:
            self._tokens[part] = self._gathered(part)
        return self._tokens[part]

    def _gathered(self, part):
        h = self.header
        skip = 2 * (h["prefix_chain_count"].astype(np.int64) + h["ids_issued_count"] + h["ids_returned_count"])
        skip += h["part_tokens"][:, :part].sum(axis=1, dtype=np.int64)
        return gather(self._words, (self._blocks + HEADER.itemsize) // 4 + skip, h["part_tokens"][:, part].astype(np.int64))

    def model(self, i):
        h = self.header[i]
        words = 2 * (int(h["prefix_chain_count"]) + int(h["ids_issued_count"]) + int(h["ids_returned_count"])) + int(h["part_tokens"].sum())
        words += int(h["partners"]) * int(h["part_tokens"][INSTRUCTION])
        at = int(self._blocks[i]) + HEADER.itemsize + 4 * words
        return self._words.view(np.uint8)[at:at + int(h["model_length"])].tobytes().decode("utf-8", "replace")


def _block_offsets(path, data):
    """First byte of every block, after the checks that need no header."""
    if len(data) < 8 or data[:_FAMILY_BYTES] != _MAGIC[:_FAMILY_BYTES]:
        raise BadFile(f"{path}: no file of recorded exchanges")
    if data[:8] != _MAGIC:
        raise BadFile(f"{path}: was recorded by another version; record it again with this one")
    if len(data) < _HEAD_BYTES:
        raise BadFile(f"{path}: is cut short: it ends within its head")
    size, = struct.unpack_from("<I", data, 8)
    if size != HEADER.itemsize:
        raise BadFile(f"{path}: its exchange heads have {size} bytes, ours {HEADER.itemsize}; record it again with this version")
    offsets, at = [], _HEAD_BYTES
    record_head = struct.Struct("<QQ")
    with memoryview(data) as view:
        while True:
            bad = f"{path}: record {len(offsets) + 1}: "
            if at + 16 > len(data):
                raise BadFile(bad + "the file is cut short before it")
            size, digest = record_head.unpack_from(view, at)
            at += 16
            if size == 0:
                if digest != len(offsets):
                    raise BadFile(bad + "the end tells of another number of records")
                if at != len(data):
                    raise BadFile(bad + "something follows the end")
                return np.array(offsets, np.int64)
            if size < HEADER.itemsize or size > _BLOCK_BYTES_MAX:
                raise BadFile(bad + "its size is impossible")
            padded = (size + 7) // 8 * 8
            if at + padded > len(data):
                raise BadFile(bad + "the file is cut short within it")
            if xxhash.xxh3_64_intdigest(view[at:at + size]) != digest:
                raise BadFile(bad + "it is damaged")
            offsets.append(at)
            at += padded


def _copy_headers(data, offsets):
    words = np.frombuffer(data, "<u8")  # the whole file was walked, so it is whole words
    headers = np.empty(len(offsets), HEADER)
    within = np.arange(HEADER.itemsize // 8)
    for begin in range(0, len(offsets), _CHUNK):
        part = offsets[begin:begin + _CHUNK, None] // 8 + within
        headers[begin:begin + _CHUNK] = words[part].view(HEADER).reshape(-1)
    return headers


def _check_headers(path, data, h, offsets):
    def refuse(wrong, what):
        if wrong.any():
            raise BadFile(f"{path}: record {int(np.argmax(wrong)) + 1}: {what}")

    sizes = np.frombuffer(data, "<u8")[offsets // 8 - 2].astype(np.int64)
    words64 = h["prefix_chain_count"].astype(np.int64) + h["ids_issued_count"] + h["ids_returned_count"]
    words32 = h["part_tokens"].sum(axis=1, dtype=np.int64) + h["partners"].astype(np.int64) * h["part_tokens"][:, INSTRUCTION]
    refuse(sizes != HEADER.itemsize + 8 * words64 + 4 * words32 + h["model_length"], "its lengths do not add up")
    refuse((h["part_tokens"] > _PART_TOKENS_MAX).any(axis=1) | (h["model_length"] > _MODEL_LENGTH_MAX) | (h["partners"] > _PARTNERS_MAX) | (h["prefix_chain_count"] > _PREFIX_CHAIN_MAX) |
           ~np.isin(h["client_length"], (0, 4, 16)), "a value is out of its bounds")
    if len(h) > 1:
        before, after = h["order"][:-1], h["order"][1:]
        less = np.zeros(len(h) - 1, bool)
        equal = np.ones(len(h) - 1, bool)
        for word in range(3):
            less |= equal & (before[:, word] < after[:, word])
            equal &= before[:, word] == after[:, word]
        refuse(np.concatenate(([False], ~less)), "it is out of order")


def _mapped(path):
    try:
        with open(path, "rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror}") from None
    except ValueError:  # nothing can be mapped of an empty file
        raise BadFile(f"{path}: no file of recorded exchanges") from None


def blocks(path):
    """(head of the file, [each block as a bytearray]), for who changes them; BadFile if the file is not whole."""
    with _mapped(path) as data:
        offsets = [int(at) for at in _block_offsets(path, data)]
        sizes = [struct.unpack_from("<Q", data, at - 16)[0] for at in offsets]
        return data[:_HEAD_BYTES], [bytearray(data[at:at + size]) for at, size in zip(offsets, sizes)]


def read(path):
    """The file's exchanges; BadFile if it is not whole."""
    data = _mapped(path)
    offsets = _block_offsets(path, data)
    header = _copy_headers(data, offsets)
    _check_headers(path, data, header, offsets)
    keyed = (header["flags"] & HAS_KEY) != 0
    return Exchanges(path, header[keyed], np.frombuffer(data, "<u4"), offsets[keyed], int(np.count_nonzero(~keyed)))
