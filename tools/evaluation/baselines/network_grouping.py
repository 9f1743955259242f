"""Network grouping: communities of accounts that come from the same addresses.

Source: Stringhini, Mourlanne, Jacob, Egele, Kruegel, Vigna, "EvilCohort: Detecting Communities of Malicious Accounts on Online
Services", USENIX Security 2015: the account x address graph, communities by Louvain (Blondel et al. 2008), size decides.
Sees: who uses which address, and how often.
Cannot see: texts; accounts behind exits of their own. A campus or a carrier's NAT is one community to it. Recorded exchanges name no
autonomous system; the nearest thing in them is a short prefix (`bits4` of IPv4, `bits6` of IPv6).
Cost: about linear in distinct (account, prefix) pairs; above PAIRS_MAX whole prefixes are left out, those drawn by hash.
"""
import networkx
import numpy as np

from . import texts

PAIRS_MAX = 500_000
GRID = [dict(bits4=a, bits6=b) for a, b in ((32, 64), (24, 48), (16, 32))]


def prefixes(exchanges, bits4, bits6):
    """A 64-bit number for the prefix of each exchange's client address; 0 where it is unknown."""
    h = exchanges.header
    high = h["client_bytes"][:, :8].copy().view(">u8").reshape(-1).astype(np.uint64)
    is4 = h["client_length"] == 4
    drop = np.where(is4, 64 - bits4, 64 - bits6).astype(np.uint64)
    key = texts.mix((high >> drop) * np.uint64(2) + is4.astype(np.uint64) + np.uint64(1))
    return np.where(h["client_length"] == 0, np.uint64(0), key)


def scores(exchanges, bits4=32, bits6=64):
    """Accounts in the account's community."""
    key = prefixes(exchanges, bits4, bits6)
    known = key != 0
    pairs, weights = np.unique(np.stack([exchanges.account[known].astype(np.uint64), key[known]], axis=1), axis=0, return_counts=True)
    _, column, users = np.unique(pairs[:, 1], return_inverse=True, return_counts=True)
    shared = users[column] > 1  # a prefix of one account joins nothing
    pairs, weights = pairs[shared], weights[shared]
    if len(pairs) > PAIRS_MAX:
        kept = pairs[:, 1] < np.uint64(int(2**64 * PAIRS_MAX / len(pairs)))
        texts.note("network_grouping", f"{np.count_nonzero(kept)} of {len(pairs)} (account, prefix) pairs are looked at")
        pairs, weights = pairs[kept], weights[kept]
    graph = networkx.Graph()
    graph.add_weighted_edges_from((int(a), f"{int(p):x}", int(w)) for (a, p), w in zip(pairs, weights))
    result = dict.fromkeys(exchanges.account_ids, 1.0)
    for community in networkx.community.louvain_communities(graph, seed=1) if len(graph) else []:
        members = [node for node in community if isinstance(node, int)]
        for account in members:
            result[exchanges.account_ids[account]] = float(len(members))
    return result
