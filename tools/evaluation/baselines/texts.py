"""What the baselines that compare texts share: distinct instructions, shingles, MinHash, and a bag-of-words embedding.

Recorded exchanges hold token hashes, never text. So no method here can use a sentence encoder; where a paper does, it gets
tf-idf bags of words instead. Texts are cut to their first TOKENS_MAX tokens, which bounds the work of one text. Memory:
1 KB a distinct text for vectors, 0.5 KB for MinHash, about 30 bytes a token.
"""
import dataclasses
import logging

import numpy as np
import scipy.sparse

INSTRUCTION = 1  # Part in dataplane/llm/exchange.h
TOKENS_MAX = 512
PAIRS_MAX = 20_000_000  # of accounts that one product of account x thing with itself may look at: about 1 GB
_CACHED = 1 << 14  # shingles
_ODD = np.uint64(0x9E3779B97F4A7C15)


def note(method, text):
    """Says on stderr what a bound left out."""
    logging.getLogger("baselines").warning("%s: %s", method, text)


def columns_kept(method, users):
    """Which columns of an account x thing matrix are multiplied out: those of two accounts or more, fewest accounts first,
    until their pairs reach PAIRS_MAX. `users`: accounts of each column."""
    order = np.argsort(users, kind="stable")
    within = np.cumsum(users[order].astype(np.int64)**2) <= PAIRS_MAX
    kept = np.zeros(len(users), bool)
    kept[order[within]] = True
    if not kept.all():
        note(method, f"{np.count_nonzero(~kept)} things that {int(users[~kept].min())} to {int(users.max())} accounts share are left out")
    return kept & (users > 1)


def mix(x):
    """splitmix64's finaliser (Steele, Lea, Flood 2014)."""
    x = np.asarray(x, np.uint64).copy()
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x ^= x >> np.uint64(shift)
        x *= np.uint64(factor)
    return x ^ (x >> np.uint64(31))


@dataclasses.dataclass(frozen=True)
class Texts:
    """Distinct instructions as token hashes, and which account sent which."""
    values: np.ndarray  # token hashes of text t: values[starts[t]:starts[t + 1]]
    starts: np.ndarray
    of_exchange: np.ndarray  # number of the text of each exchange; -1: none, or too short

    @property
    def count(self):
        return len(self.starts) - 1

    @property
    def lengths(self):
        return np.diff(self.starts)


def distinct(exchanges, tokens_min=1):
    """Texts of at least tokens_min tokens."""
    tokens = exchanges.tokens(INSTRUCTION)
    counts = np.minimum(tokens.counts, TOKENS_MAX)
    of_exchange = np.full(len(exchanges), -1, np.int64)
    kept = np.flatnonzero(counts >= tokens_min)
    if len(kept) == 0:
        return Texts(np.zeros(0, np.uint32), np.zeros(1, np.int64), of_exchange)
    _, first, inverse = np.unique(exchanges.header["part_hash"][kept, INSTRUCTION], return_index=True, return_inverse=True)
    of_exchange[kept] = inverse
    begins, lengths = tokens.starts[:-1][kept[first]], counts[kept[first]]
    starts = np.concatenate(([0], np.cumsum(lengths)))
    index = np.repeat(begins - starts[:-1], lengths) + np.arange(starts[-1])
    return Texts(tokens.values[index], starts, of_exchange)


def shingles(texts, size):
    """Hashes of `size` neighbouring tokens of every text, and the text of each; a shorter text has none."""
    n = len(texts.values) - size + 1
    if n <= 0:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    hashes = np.zeros(n, np.uint64)
    for k in range(size):
        hashes = mix(hashes * _ODD + texts.values[k:k + n].astype(np.uint64) + np.uint64(1))
    owner = np.repeat(np.arange(texts.count), texts.lengths)
    whole = owner[:n] == owner[size - 1:]
    return hashes[whole], owner[:n][whole]


def minhash(texts, shingle=3, permutations=128):
    """MinHash (Broder 1997) of every text, uint32 [texts, permutations], and which texts have a shingle at all."""
    hashes, owner = shingles(texts, shingle)
    sketch = np.full((texts.count, permutations), 0xFFFFFFFF, np.uint32)
    there, begins = np.unique(owner, return_index=True)
    has = np.zeros(texts.count, bool)
    has[there] = True
    # A few texts at a time, whose shingles stay in the cache for all permutations.
    ends = np.append(begins[1:], len(hashes))
    first = 0
    while first < len(there):
        last = max(first + 1, int(np.searchsorted(ends, begins[first] + _CACHED, side="right")))
        part, starts = hashes[begins[first]:ends[last - 1]], begins[first:last] - begins[first]
        minima = np.empty((last - first, permutations), np.uint32)
        for j in range(permutations):
            minima[:, j] = np.minimum.reduceat(mix(part + np.uint64((j + 1) * int(_ODD) % 2**64)) >> np.uint64(32), starts)
        sketch[there[first:last]] = minima
        first = last
    return sketch, has


def band_keys(sketch, rows):
    """A 64-bit key for each band of `rows` minima: equal keys make a candidate pair."""
    bands = sketch.shape[1] // rows
    keys = np.empty((len(sketch), bands), np.uint64)
    for b in range(bands):
        key = np.full(len(sketch), b + 1, np.uint64)
        for r in range(rows):
            key = mix(key * _ODD + sketch[:, b * rows + r])
        keys[:, b] = key
    return keys


def embed(texts, dimensions=256, seed=1):
    """Unit vectors [texts, dimensions]: tf-idf bags of words under a random projection (Achlioptas 2003), so that the
    dot product of two is about the cosine of their bags, give or take 1/16 at 256 dimensions."""
    if texts.count == 0:
        return np.zeros((0, dimensions), np.float32)
    words, column = np.unique(texts.values, return_inverse=True)
    bag = scipy.sparse.csr_matrix((np.ones(len(column), np.float32), column, texts.starts), shape=(texts.count, len(words)))
    bag.sum_duplicates()
    bag.data = 1 + np.log(bag.data)
    idf = np.log((1 + texts.count) / (1 + np.bincount(bag.indices, minlength=len(words)))).astype(np.float32)
    signs = np.random.default_rng(seed).integers(0, 2, (len(words), dimensions), dtype=np.int8).astype(np.float32) * 2 - 1
    vectors = (bag @ scipy.sparse.diags(idf)) @ signs
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths == 0, 1, lengths)


def by_account(exchanges, texts, per_account_max):
    """For each account (its number) the texts of its first per_account_max exchanges that have one, in the order asked."""
    has = np.flatnonzero(texts.of_exchange >= 0)
    order = has[np.lexsort((exchanges.header["request_end_ns"][has], exchanges.account[has]))]
    accounts, begins = np.unique(exchanges.account[order], return_index=True)
    ends = np.append(begins[1:], len(order))
    for account, begin, end in zip(accounts, begins, ends):
        yield int(account), texts.of_exchange[order[begin:min(end, begin + per_account_max)]]
