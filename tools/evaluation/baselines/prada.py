"""PRADA: the distances between a client's queries are not normally distributed when queries are made to order.

Source: Juuti, Szyller, Marchal, Asokan, "PRADA: Protecting against DNN Model Stealing Attacks", EuroS&P 2019.
Sees: the texts of one account, in order: the distance of each to the nearest one kept, and how normal these distances are
(Shapiro-Wilk after taking out what lies three deviations off).
Cannot see: other accounts; accounts with fewer than `queries_min` texts. Differs from the paper: a language model answers with
no class, so all queries of an account are one class; distances are of bags of words.
Cost: quadratic in the texts of one account, of which the first 1,000 are taken; about 250 million products at most for one.
"""
import numpy as np
import scipy.stats

from . import texts

QUERIES_MAX = 1000
GRID = [dict(queries_min=q) for q in (5, 10, 20, 50, 100)]


def _nearest_distances(vectors):
    """Of each query but the first, the distance to the nearest of the growing set; the set grows by what is far enough."""
    kept = np.empty_like(vectors)
    kept[0], size = vectors[0], 1
    distances, grown, threshold = [], [], 0.0
    for vector in vectors[1:]:
        distance = float(np.sqrt(max(0.0, 2 - 2 * float(np.max(kept[:size] @ vector)))))
        distances.append(distance)
        if distance > threshold:
            kept[size] = vector
            size += 1
            grown.append(distance)
            threshold = max(threshold, np.mean(grown) - np.std(grown))
    return np.array(distances)


def scores(exchanges, queries_min=20):
    """1 - W of Shapiro and Wilk; 0 where there are too few queries to say anything."""
    found = texts.distinct(exchanges)
    vectors = texts.embed(found)
    result = dict.fromkeys(exchanges.account_ids, 0.0)
    for account, rows in texts.by_account(exchanges, found, QUERIES_MAX):
        if len(rows) < max(queries_min, 5):
            continue
        distances = _nearest_distances(vectors[rows])
        inside = distances[np.abs(distances - distances.mean()) <= 3 * distances.std()]
        if len(inside) >= 3 and np.ptp(inside) > 1e-6:
            result[exchanges.account_ids[account]] = 1 - float(scipy.stats.shapiro(inside)[0])
        else:  # all the same distance: nothing is less normal
            result[exchanges.account_ids[account]] = 1.0
    return result
