"""Rates, bounds and agreement of groups with the truth. Pure functions of counts; tests/tools/evaluation holds worked examples."""
import math
import random


def bound_of_zero(n):
    """Zero of n: the rate is below this with 95 % confidence (rule of three)."""
    return min(1.0, 3 / n) if n else 1.0


def share(cells):
    """Of cells [(hits, n)]: all hits of all n; None without any n."""
    n = sum(n for _, n in cells)
    return sum(hits for hits, _ in cells) / n if n else None


def interval(cells, draws=1000, seed=1):
    """95 % interval of share(cells) by drawing cells (cohorts: accounts of one are not independent) with replacement.
    Zero hits: up to bound_of_zero, and nothing but hits: down to 1 less that. Else of fewer than two cells None."""
    cells = [cell for cell in cells if cell[1]]
    if not any(hits for hits, _ in cells):
        return (0.0, bound_of_zero(sum(n for _, n in cells))) if cells else None
    if len(cells) < 2:
        return None
    if all(hits == n for hits, n in cells):
        return 1 - bound_of_zero(sum(n for _, n in cells)), 1.0
    rng = random.Random(seed)
    drawn = sorted(share(rng.choices(cells, k=len(cells))) for _ in range(draws))
    return drawn[int(0.025 * draws)], drawn[min(draws - 1, int(0.975 * draws))]


def median(values):
    values = sorted(values)
    if not values:
        return None
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def worst_tenth(values, low_is_bad=True):
    """The value that one in ten is no better than; of fewer than ten the worst."""
    values = sorted(values, reverse=not low_is_bad)
    return values[max(0, math.ceil(len(values) / 10) - 1)] if values else None


def percentile(values, p):
    """Nearest rank."""
    values = sorted(values)
    return values[max(0, math.ceil(p / 100 * len(values)) - 1)] if values else None


def reweighted_precision(recall, false_positive_rate, prevalence):
    """Precision where so large a share of accounts is of campaigns; None where nothing is flagged."""
    right = prevalence * recall
    flagged = right + (1 - prevalence) * false_positive_rate
    return right / flagged if flagged else None


def threshold(benign_scores, rate):
    """The lowest score that at most `rate` of the benign exceed: flagged is who is above it."""
    ordered = sorted(benign_scores, reverse=True)
    allowed = int(rate * len(ordered) + 1e-9)
    return ordered[allowed] if allowed < len(ordered) else -math.inf


def b_cubed(groups, class_of):
    """(precision, recall) of groups, a list of sets, against class_of, {item: class}. Each item counts alike; an item
    of several groups stands in the largest; one of none stands alone. Classes are those of the items given: whoever is
    of no campaign has a class of its own. (Bagga, Baldwin 1998.)"""
    group_of = {}
    for number, group in sorted(enumerate(groups), key=lambda g: (-len(g[1]), g[0])):
        for item in group:
            group_of.setdefault(item, number)
    both, by_group, by_class = {}, {}, {}
    place = {item: group_of.get(item, ("alone", item)) for item in class_of}
    for item, c in class_of.items():
        g = place[item]
        both[g, c] = both.get((g, c), 0) + 1
        by_group[g] = by_group.get(g, 0) + 1
        by_class[c] = by_class.get(c, 0) + 1
    if not class_of:
        return None
    precision = sum(both[place[i], c] / by_group[place[i]] for i, c in class_of.items()) / len(class_of)
    recall = sum(both[place[i], c] / by_class[c] for i, c in class_of.items()) / len(class_of)
    return precision, recall


def is_found(groups, members, purity_percent):
    """Whether one group holds half of the members and so many percent of the group are members."""
    return any(2 * len(g & members) >= len(members) and 100 * len(g & members) >= purity_percent * len(g) for g in groups if g)


def calibration(pairs, edges=(0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99, 1.0001)):
    """[(said, true)] by bins of what was said: [(from, to, n, mean said, share true)], bins with anything in them."""
    bins = []
    for low, high in zip(edges, edges[1:]):
        inside = [(said, true) for said, true in pairs if low <= said < high]
        if inside:
            bins.append((low, min(high, 1.0), len(inside), sum(s for s, _ in inside) / len(inside), sum(t for _, t in inside) / len(inside)))
    return bins


def brier(pairs):
    return sum((said - true) ** 2 for said, true in pairs) / len(pairs) if pairs else None
