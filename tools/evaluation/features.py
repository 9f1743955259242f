"""Single features of an account, and what one of them alone would do: the area under its curve. A feature that
tells campaign accounts from all others by itself (above 0.99, either way) says that the generator is too easy there.

Shares of an account are of its exchanges in the file. Strata that only a recording knows are here too."""
import numpy as np

TOO_EASY = 0.99
_STREAMED, _LOGPROBS = 0, 10  # bits of flags in dataplane/llm/exchange.h


def auc(scores, positive):
    """Area under the curve; None without both sides. Ties count half."""
    scores, positive = np.asarray(scores, float), np.asarray(positive, bool)
    ours, others = int(positive.sum()), int((~positive).sum())
    if not ours or not others:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - ours * (ours + 1) / 2) / (ours * others))


def _mean(recorded, values):
    n = len(recorded.account_ids)
    return np.bincount(recorded.account, np.asarray(values, float), n) / np.maximum(1, np.bincount(recorded.account, minlength=n))


def _distinct(recorded, values):
    """How many different values each account has."""
    pairs = np.unique(np.stack([recorded.account.astype(np.int64), np.unique(values, return_inverse=True)[1].reshape(-1)]), axis=1)
    return np.bincount(pairs[0], minlength=len(recorded.account_ids)).astype(float)


def of_accounts(recorded):
    """{feature: a value for each of recorded.account_ids}. Nothing here joins accounts."""
    h = recorded.header
    count = np.bincount(recorded.account, minlength=len(recorded.account_ids)).astype(float)
    hour = recorded.header["request_start_ns"] // 3_600_000_000_000
    return {
        "exchanges": count,
        "instruction words, mean": _mean(recorded, h["part_tokens"][:, 1]),
        "earlier turns' words, mean": _mean(recorded, h["part_tokens"][:, 2]),
        "system words, mean": _mean(recorded, h["part_tokens"][:, 0]),
        "answer tokens, mean": _mean(recorded, h["tokens_out"]),
        "turns, mean": _mean(recorded, h["turns"]),
        "tools, mean": _mean(recorded, h["tools"]),
        "temperature, mean": _mean(recorded, h["temperature_milli"]),
        "max tokens, mean": _mean(recorded, h["max_tokens"]),
        "log probabilities, share": _mean(recorded, (h["flags"] >> _LOGPROBS) & 1),
        "biased token ids, mean": _mean(recorded, h["logit_bias_count"]),
        "streamed, share": _mean(recorded, (h["flags"] >> _STREAMED) & 1),
        "rate limited, share": _mean(recorded, h["status"] == 429),
        "different hours": _distinct(recorded, hour) / count,
        "different instructions": _distinct(recorded, h["part_hash"][:, 1]) / count,
        "different parameters": _distinct(recorded, h["temperature_milli"].astype(np.int64) * 1_000_003 + h["max_tokens"]) / count,
        "hour of the day, mean": _mean(recorded, hour % 24),
    }


def alone(recorded, campaign_of):
    """{feature: area under the curve}, of the accounts that `campaign_of` names (None: of no campaign)."""
    known = np.array([a in campaign_of for a in recorded.account_ids], bool)
    positive = np.array([campaign_of.get(a) is not None for a in recorded.account_ids], bool)
    return {name: auc(values[known], positive[known]) for name, values in of_accounts(recorded).items()}


def shared_addresses(recorded, owner_of, owners_min=3):
    """Accounts that asked from a network (/24, /48) which so many owners used: behind a campus, a carrier or a relay."""
    h = recorded.header
    kept = np.where(h["client_length"] == 4, 3, 6)
    networks = {}
    for account, length, address in set(zip(recorded.account.tolist(), kept.tolist(), map(bytes, h["client_bytes"]))):
        networks.setdefault(address[:length], set()).add(recorded.account_ids[account])
    return {a for members in networks.values() if len({owner_of.get(m) for m in members}) >= owners_min for a in members}
