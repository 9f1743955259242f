"""MinHash and union-find: accounts that send near-duplicate prompts are joined; how many are joined decides.

Source: MinHash (Broder 1997) with LSH bands (Indyk, Motwani 1998), as used to remove near-duplicates of corpora; joining accounts by
it as in Pacheco et al., "Uncovering Coordinated Networks on Social Media", ICWSM 2021 (minimum support, similarity network, components).
Sees: rigid templates, copied prompts, whoever sends them and whenever.
Cannot see: rewritten prompts; whether what is shared is everybody's. One popular prompt chains strangers into one component.
Cost: 128 hashes a shingle; in a bucket each text is compared with the NEIGHBOURS before it, so 32 bands x 4 comparisons a text; with
support above 1 the sum over clusters of texts of their accounts squared, at most texts.PAIRS_MAX; above it the most shared are left out, and it says so.
"""
import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import connected_components

from . import texts

NEIGHBOURS = 4
GRID = [dict(jaccard=j, support=s, tokens_min=t) for j in (0.35, 0.5, 0.65, 0.8) for s in (1, 2, 3) for t in (5, 10)]


def near_pairs(sketch, jaccard, rows=4):
    """Pairs of rows of `sketch` that share a band and agree in at least `jaccard` of their minima."""
    keys = texts.band_keys(sketch, rows)
    pairs = []
    for band in range(keys.shape[1]):
        order = np.argsort(keys[:, band], kind="stable")
        sorted_keys = keys[order, band]
        for step in range(1, NEIGHBOURS + 1):
            met = np.flatnonzero(sorted_keys[step:] == sorted_keys[:-step])
            pairs.append(order[met].astype(np.int64) << 32 | order[met + step])
    pairs = np.unique(np.concatenate(pairs))
    left, right = pairs >> 32, pairs & 0xFFFFFFFF
    alike = np.empty(len(pairs))
    for begin in range(0, len(pairs), 1 << 16):  # 64 MiB at a time
        part = slice(begin, begin + (1 << 16))
        alike[part] = (sketch[left[part]] == sketch[right[part]]).mean(axis=1)
    near = alike >= jaccard
    return left[near], right[near]


def scores(exchanges, jaccard=0.5, support=3, tokens_min=10):
    """Accounts in the account's component, and below one the share of its texts that are like another account's."""
    accounts = len(exchanges.account_ids)
    found = texts.distinct(exchanges, tokens_min)
    sketch, has = texts.minhash(found)
    rows = np.flatnonzero(has)
    left, right = near_pairs(sketch[rows], jaccard)
    left, right = rows[left], rows[right]
    # Clusters of texts by union-find; then account x cluster. Two accounts are joined by `support` clusters in common.
    _, cluster = connected_components(scipy.sparse.coo_matrix((np.ones(len(left)), (left, right)), shape=(found.count, found.count)), directed=False)
    sent = found.of_exchange >= 0
    matrix = scipy.sparse.csr_matrix((np.ones(np.count_nonzero(sent), np.int32), (exchanges.account[sent], cluster[found.of_exchange[sent]])),
                                     shape=(accounts, cluster.max(initial=-1) + 1))
    matrix.data[:] = 1
    users = np.bincount(matrix.indices, minlength=matrix.shape[1])
    share = np.asarray(matrix[:, users > 1].sum(axis=1) / np.maximum(matrix.sum(axis=1), 1)).reshape(-1)
    component = _components(matrix[:, users > 1], support)
    result = np.bincount(component)[component] + 0.99 * share
    return dict(zip(exchanges.account_ids, result.tolist()))


def _components(matrix, support):
    """Components of accounts of which neighbours have `support` columns in common."""
    accounts = matrix.shape[0]
    if support == 1:  # columns as nodes: no square
        links = scipy.sparse.bmat([[None, matrix], [matrix.T, None]]) if matrix.shape[1] else scipy.sparse.csr_matrix((accounts, accounts))
        return connected_components(links, directed=False)[1][:accounts]
    users = np.bincount(matrix.indices, minlength=matrix.shape[1])
    common = matrix[:, texts.columns_kept("minhash_union_find", users)]
    common = (common @ common.T).tocoo()
    near = common.data >= support
    links = scipy.sparse.coo_matrix((np.ones(near.sum()), (common.row[near], common.col[near])), shape=(accounts, accounts))
    return connected_components(links, directed=False)[1]
