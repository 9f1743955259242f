"""SynchroTrap: accounts that do the same thing at about the same time, again and again.

Source: Cao, Yang, Yu, Palow, "Uncovering Large Groups of Active Malicious Accounts in Online Social Networks", CCS 2014.
An action is (exact hash of the instruction's text, time bin). Two accounts are as similar as the Jaccard index of their actions;
those at or above `similarity` are joined by single linkage; the size of a cluster decides.
Sees: exactly equal prompts close in time. Cannot see: texts that differ in one word, so neither templates with slots nor
paraphrases. People who pass a prompt round do what it looks for. Small change: bins do not overlap; the paper matches across neighbours.
Cost: the sum over actions of their accounts squared, at most texts.PAIRS_MAX; above it the most shared actions are left out, and it says so.
"""
import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import connected_components

from . import texts

GRID = [dict(bin_s=b, similarity=s, common_min=c) for b in (3600, 86400, None) for s in (0.05, 0.2, 0.5) for c in (1, 2)]


def scores(exchanges, bin_s=3600, similarity=0.2, common_min=1):
    """Accounts in the account's cluster, and below one the highest similarity to any account."""
    accounts = len(exchanges.account_ids)
    what = exchanges.header["part_hash"][:, texts.INSTRUCTION]
    has = what != 0
    when = np.zeros(len(exchanges), np.uint64) if bin_s is None else (exchanges.seconds // bin_s).astype(np.uint64)
    _, action = np.unique(texts.mix(what + texts.mix(when + np.uint64(1)))[has], return_inverse=True)
    matrix = scipy.sparse.csr_matrix((np.ones(len(action), np.int32), (exchanges.account[has], action)),
                                     shape=(accounts, action.max(initial=-1) + 1))
    matrix.data[:] = 1
    done = np.asarray(matrix.sum(axis=1)).reshape(-1)
    users = np.bincount(matrix.indices, minlength=matrix.shape[1])
    matrix = matrix[:, texts.columns_kept("synchrotrap", users)]
    common = scipy.sparse.triu(matrix @ matrix.T, k=1).tocoo()
    jaccard = common.data / (done[common.row] + done[common.col] - common.data)
    near = (jaccard >= similarity) & (common.data >= common_min)
    links = scipy.sparse.coo_matrix((np.ones(near.sum()), (common.row[near], common.col[near])), shape=(accounts, accounts))
    _, cluster = connected_components(links, directed=False)
    most = np.zeros(accounts)
    for side in (common.row, common.col):
        np.maximum.at(most, side, jaccard)
    result = np.bincount(cluster)[cluster] + 0.99 * most
    return dict(zip(exchanges.account_ids, result.tolist()))
