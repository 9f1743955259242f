"""MMD: is what this account asks drawn from what everybody asks?

Source: Liu, Guo, Dong, arXiv 2606.05725 (2026): kernel two-sample test of a window of queries against a benign reference. The maximum mean
discrepancy and its unbiased estimate are Gretton et al., JMLR 2012. There the window is of all traffic and an alarm names nobody; here
it is of one account, so that an account gets a score.
Sees: that an account's texts are unlike the mass of texts, or narrow. Cannot see: other accounts doing the same. Anyone with one subject
(a class, a batch job, a bot) is as narrow. Differs from the paper: bags of words in place of a sentence encoder; the reference is
drawn from the traffic itself, campaigns included, since a live box has no sample known to be benign.
Cost: windows x `window` x REFERENCE products; the first 1,000 texts of an account are taken, REFERENCE texts of all.
"""
import numpy as np

from . import texts

QUERIES_MAX = 1000
REFERENCE = 2000
GRID = [dict(window=w, queries_min=m, standardise=z) for w in (20, 50, 100) for m in (3, 10) for z in (False, True)]


def _reference(exchanges, found, rng):
    """One text each of accounts drawn with return, so that a busy account does not make the norm."""
    owned = [rows for _, rows in texts.by_account(exchanges, found, QUERIES_MAX)]
    return np.array([rng.choice(owned[i]) for i in rng.integers(0, len(owned), REFERENCE)]) if owned else np.zeros(0, np.int64)


def unbiased(part, reference, gamma, within_reference):
    """MMD^2 of two sets of vectors under exp(-gamma * squared distance), each vector left out of its own mean."""
    n = len(part)
    own = np.exp(-gamma * _squares(part, part))
    across = float(np.exp(-gamma * _squares(part, reference)).mean())
    return (float(own.sum()) - n) / (n * (n - 1)) + within_reference - 2 * across


def _squares(a, b):
    return np.maximum((a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2 * a @ b.T, 0)


def scores(exchanges, window=100, queries_min=10, standardise=False):
    """The largest unbiased MMD^2 of the account's windows, with standardise over its deviation when all is one population; 0 where there are too few."""
    found = texts.distinct(exchanges)
    vectors = texts.embed(found)
    reference = vectors[_reference(exchanges, found, np.random.default_rng(1))]
    result = dict.fromkeys(exchanges.account_ids, 0.0)
    if len(reference) == 0:
        return result
    squares = _squares(reference, reference)
    off_diagonal = ~np.eye(len(reference), dtype=bool)
    gamma = 1 / max(float(np.median(squares[off_diagonal])), 1e-9)  # the median heuristic
    kernel = np.exp(-gamma * squares)
    within_reference = float(kernel[off_diagonal].mean())
    centred = kernel - kernel.mean(axis=0) - kernel.mean(axis=1)[:, None] + kernel.mean()
    spread = float(np.sqrt((centred[off_diagonal]**2).mean()))
    for account, rows in texts.by_account(exchanges, found, QUERIES_MAX):
        for begin in range(0, len(rows), window):
            part = vectors[rows[begin:begin + window]]
            n = len(part)
            if n < max(queries_min, 2):
                continue
            value = unbiased(part, reference, gamma, within_reference)
            if standardise:
                value /= spread * np.sqrt(2 / (n * (n - 1)))
            key = exchanges.account_ids[account]
            result[key] = max(result[key], value)
    return result
