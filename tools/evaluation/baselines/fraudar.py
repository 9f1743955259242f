"""FRAUDAR: the densest blocks of the graph of accounts and sketch buckets, popular buckets counting for less.

Source: Hooi, Song, Beutel, Shah, Shin, Faloutsos, "FRAUDAR: Bounding Graph Fraud in the Face of Camouflage", KDD 2016: greedy removal of the
node that holds the least, column weights 1 / log(degree + 5); the block is the best suffix of that order; its edges are taken away and
the next one is looked for.
Sees: many accounts in the same rare MinHash buckets, whatever cover they send beside. Cannot see: rewritten prompts; campaigns
thinner than a class or a framework, which are dense blocks too. With many bands a text makes many equal columns, which weigh together: one
popular prompt then counts as much as several rare ones.
Cost: edges x log(edges) a block in Python; above EDGES_MAX whole buckets are left out, drawn by hash, and it says so.
"""
import heapq

import numpy as np

from . import texts

EDGES_MAX = 300_000
GRID = [dict(rows=r, bands=b, blocks=n) for r, b in ((1, 1), (1, 4), (1, 16), (2, 1), (2, 4), (4, 16)) for n in (1, 4)]


def _edges(exchanges, rows, bands, tokens_min):
    """Distinct (account, bucket) pairs of buckets that more than one account is in."""
    found = texts.distinct(exchanges, tokens_min)
    sketch, has = texts.minhash(found, permutations=rows * bands)
    keys = texts.band_keys(sketch, rows)
    sent = np.flatnonzero((found.of_exchange >= 0) & np.append(has, False)[found.of_exchange])
    bucket = keys[found.of_exchange[sent]].reshape(-1)
    account = np.repeat(exchanges.account[sent].astype(np.uint64), keys.shape[1])
    pairs = np.unique(np.stack([account, bucket], axis=1), axis=0)
    _, column, users = np.unique(pairs[:, 1], return_inverse=True, return_counts=True)
    pairs = pairs[users[column] > 1]
    if len(pairs) > EDGES_MAX:
        kept = pairs[:, 1] < np.uint64(int(2**64 * EDGES_MAX / len(pairs)))
        texts.note("fraudar", f"{np.count_nonzero(kept)} of {len(pairs)} (account, bucket) pairs are looked at")
        pairs = pairs[kept]
    _, column = np.unique(pairs[:, 1], return_inverse=True)
    return pairs[:, 0].astype(np.int64), column


def _peel(left, right, weight, nodes):
    """Removes the node that holds the least until none is left. Returns nodes in the order of removal and the density
    (weight of edges over number of nodes) of what stood before each removal."""
    order = np.argsort(np.concatenate([left, right]), kind="stable")
    other = np.concatenate([right, left])[order].tolist()
    share = np.concatenate([weight, weight])[order].tolist()
    begins = np.searchsorted(np.concatenate([left, right])[order], np.arange(nodes + 1)).tolist()
    holds = np.bincount(left, weight, nodes) + np.bincount(right, weight, nodes)
    gone = (holds == 0).tolist()
    total, standing = float(weight.sum()), nodes - sum(gone)
    holds = holds.tolist()
    heap = [(holds[v], v) for v in range(nodes) if not gone[v]]
    heapq.heapify(heap)
    removed, densities = [], []
    while heap:
        value, node = heapq.heappop(heap)
        if gone[node] or value != holds[node]:
            continue  # an older entry of it
        densities.append(total / standing)
        removed.append(node)
        gone[node] = True
        total -= holds[node]
        standing -= 1
        for i in range(begins[node], begins[node + 1]):
            neighbour = other[i]
            if not gone[neighbour]:
                holds[neighbour] -= share[i]
                heapq.heappush(heap, (holds[neighbour], neighbour))
    return removed, densities


def scores(exchanges, rows=2, bands=1, blocks=4, tokens_min=5):
    """The density of the densest block that the account is in; outside of all, of the densest suffix that held it last time."""
    accounts = len(exchanges.account_ids)
    left, column = _edges(exchanges, rows, bands, tokens_min)
    result = np.zeros(accounts)
    columns = int(column.max(initial=-1)) + 1
    weight = 1 / np.log(np.bincount(column, minlength=columns)[column] + 5.0) if columns else np.zeros(0)
    for block in range(blocks):
        if len(left) == 0:
            break
        removed, densities = _peel(left, column + accounts, weight, accounts + columns)
        best = int(np.argmax(densities))
        inside = np.zeros(accounts + columns, bool)
        inside[removed[best:]] = True
        reached = np.maximum.accumulate(densities)
        for place, node in enumerate(removed):
            if node < accounts and (inside[node] or block == blocks - 1):
                result[node] = max(result[node], reached[place])
        whole = inside[left] & inside[column + accounts]
        left, column, weight = left[~whole], column[~whole], weight[~whole]
    return dict(zip(exchanges.account_ids, result.tolist()))
