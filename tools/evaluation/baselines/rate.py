"""Per-account rate: how much one account asks in its busiest window.

Source: common practice (rate limits and usage anomaly rules); no paper.
Sees: times of requests and tokens answered, one account at a time.
Cannot see: texts, or that other accounts do the same. A campaign of many accounts at an ordinary pace is ordinary to it.
Cost: a sort of the exchanges.
"""
import numpy as np

GRID = [dict(window_s=w, of=o) for o in ("requests", "tokens_out") for w in (3600, 86400, None)]


def scores(exchanges, window_s=None, of="tokens_out"):
    """Requests, or answered tokens, in the account's busiest window (None: in the whole file)."""
    weight = np.ones(len(exchanges)) if of == "requests" else exchanges.header["tokens_out"].astype(float)
    window = np.zeros(len(exchanges), np.int64) if window_s is None else (exchanges.seconds // window_s).astype(np.int64)
    cells, cell = np.unique(exchanges.account.astype(np.int64) << 32 | window, return_inverse=True)
    busiest = np.zeros(len(exchanges.account_ids))
    np.maximum.at(busiest, cells >> 32, np.bincount(cell, weight, len(cells)))
    return dict(zip(exchanges.account_ids, busiest.tolist()))
