"""What stillgen says was sent: accounts, campaigns, and, from the file of exchanges, when each was asked and which were harvest."""
import array
import bisect
import hashlib
import hmac
import json
import math
import mmap
import struct

ACCOUNT_KEY = bytes.fromhex("7374696c6c77617463682d6578616d706c65")  # of config/examples/replay.toml
_START_AT, _KEY_AT = 24, 71  # request_start_ns and key_id in ExchangeHeader (dataplane/llm/exchange.h)


def key_id_of(row, account_key=ACCOUNT_KEY):
    """The account as verdicts name it, of a row of truth.json."""
    return row.get("key_id") or hmac.new(account_key, row["key"].encode(), hashlib.sha256).hexdigest()[:32]


def language_of(kind):
    """As far as a kind tells it: stillgen's truth knows no language."""
    return "other than English" if "polyglot" in kind or kind == "t8" else "English, or as the kind has it"


def volume_of(exchanges):
    """Accounts that asked about as much, within a factor of 1.4, have the same."""
    return int(2 * math.log2(exchanges))


class Truth:
    """accounts: {key id: row of truth.json}; campaigns: {name: set of key ids}; type_of: {campaign: type}."""

    def __init__(self, path):
        with open(path) as file:
            whole = json.load(file)
        self.totals = whole["totals"]
        by_index = {}
        self.accounts = {}
        for row in whole["accounts"]:
            key_id = key_id_of(row)
            by_index[row["account"]] = key_id
            self.accounts[key_id] = row
        self.campaigns = {c["campaign"]: {by_index[a] for a in c["accounts"]} for c in whole["campaigns"]}
        self.type_of = {c["campaign"]: c["type"] for c in whole["campaigns"]}
        self.harvest = {c["campaign"]: c["harvest"] for c in whole["campaigns"]}

    def campaign_of(self, key_id):
        row = self.accounts.get(key_id)
        return row["campaign"] if row else None

    def write_directory(self, path):
        """The provider's account directory (docs/topics.md): who owns which key, since when."""
        with open(path, "w") as file:
            for key_id, row in self.accounts.items():
                file.write(json.dumps({"key_id": key_id, "account": key_id, "organisation": f"owner-{row['owner']}", "created": row["created"]}) + "\n")

    def allowed_owners(self):
        return sorted({f"owner-{row['owner']}" for row in self.accounts.values() if row.get("allowed")})


class Asked:
    """times: {key id: [ns] in the order asked}; harvest: {key id: [bool] alike}. An account of which the file holds another
    number than the truth says is left out of harvest."""

    def __init__(self, path, truth):
        self.times = {}
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            head, start, at = struct.Struct("<QQ"), struct.Struct("<q"), 32
            while True:
                size, _ = head.unpack_from(data, at)
                at += 16
                if size == 0:
                    break
                key_id = data[at + _KEY_AT:at + _KEY_AT + 16].hex()
                self.times.setdefault(key_id, []).append(start.unpack_from(data, at + _START_AT)[0])
                at += (size + 7) // 8 * 8
        self.harvest = {}
        for key_id, times in self.times.items():
            times.sort()
            row = truth.accounts.get(key_id)
            if row and row["requests"] == len(times):
                self.harvest[key_id] = labels(row.get("harvest_runs", []), len(times))

    def before(self, key_id, time_ns):
        """How many the account had asked by then."""
        return bisect.bisect_right(self.times.get(key_id, []), time_ns)

    def marks(self, key_id, second):
        """{whether it was harvest} of the account's requests of that second; None: not known."""
        if key_id not in self.harvest:
            return None
        begin, end = (bisect.bisect_left(self.times[key_id], s * 10**9) for s in (second, second + 1))
        return set(self.harvest[key_id][begin:end]) or None

    def harvest_times(self, members):
        return sorted(t for m in members for t, is_harvest in zip(self.times.get(m, []), self.harvest.get(m, [])) if is_harvest)


class AskedInProcess(Asked):
    """The same of play_world's asked.bin, which has the exchanges of campaigns' accounts only: whoever else asked did not harvest."""

    def __init__(self, path, truth):
        self.times, self.harvest = {}, {}
        by_number = {row["account"]: key_id for key_id, row in truth.accounts.items()}
        words = array.array("q")
        with open(path, "rb") as file:
            words.frombytes(file.read())
        asked = {}
        for at in range(0, len(words), 2):  # tens of millions: a word each, the mark below the time; an account's number, and its mark 32 bits above
            who = words[at + 1]
            asked.setdefault(by_number[who & 0xFFFFFFFF], array.array("q")).append(words[at] << 1 | who >> 32)
        for key_id, rows in asked.items():
            ordered = sorted(rows)
            self.times[key_id], self.harvest[key_id] = array.array("q", (row >> 1 for row in ordered)), [row & 1 == 1 for row in ordered]

    def marks(self, key_id, second):
        return super().marks(key_id, second) if key_id in self.times else {False}


def labels(runs, n):
    """harvest_runs [2, 3] of n = 6 is no, no, yes, yes, yes, no."""
    marks = [i % 2 == 1 for i, run in enumerate(runs) for _ in range(run)]
    return marks[:n] + [False] * (n - len(marks))
