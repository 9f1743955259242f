#!/usr/bin/python3
"""Changes a file of recorded exchanges (docs/recorded-exchanges.md) for a protocol of the evaluation.

  tools/evaluation/rewrite.py shuffle|vocabulary|no-parameters|no-timing IN OUT [--seed N] [--truth FILE.json]

shuffle        exchanges change hands among accounts of one dialect, language (of --truth) and about as many exchanges: whatever ties a
               campaign's requests to its accounts is gone, each account keeps its client, address and number of exchanges
vocabulary     every token hash becomes another one, the same wherever it stands: no list of words knows any
no-parameters  sampling parameters and output options were never sent; the model's name stays
no-timing      the moments of a day at which anybody asked are dealt out at random among that day's exchanges, each account's in their order:
               whoever asks, asks at everybody's hours

Deterministic by seed. The output is as confidential as the input: mode 0600.
"""
import argparse
import os
import random
import struct
import sys

try:
    import xxhash

    import exchanges
    import truth
except ImportError as missing:
    sys.exit(f"rewrite.py: {missing}; tools/install-packages test installs what it needs, and this runs with /usr/bin/python3")

HEADER_BYTES = exchanges.HEADER.itemsize


def at(field):
    return exchanges.HEADER.fields[field][1]


ORDER, START, FLAGS, DIALECT, IDENTITY, IDENTITY_END = at("order"), at("request_start_ns"), at("flags"), at("dialect"), at("key_id"), at("status")
LOGIT_BIAS_COUNT, SAMPLING, SAMPLING_END, LOGIT_BIAS_HASH = at("logit_bias_count"), at("temperature_milli"), at("tokens_in"), at("logit_bias_hash")
COUNTS = at("prefix_chain_count")
# response format, logprobs, has temperature, top p, max tokens, seed, n, reasoning asked
OPTIONS = sum(1 << bit for bit in (9, 10, 11, 12, 13, 14, 15, 21))


def read(path):
    """(head of the file, [block])"""
    try:
        return exchanges.blocks(path)
    except exchanges.BadFile as bad:
        sys.exit(f"rewrite.py: {bad}")


def write(path, head, blocks):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(head)
        for block in blocks:
            file.write(struct.pack("<QQ", len(block), xxhash.xxh3_64_intdigest(bytes(block))) + block + bytes(-len(block) % 8))
        file.write(struct.pack("<QQ", 0, len(blocks)))


def languages(path):
    """{key id: language}"""
    return {bytes.fromhex(key_id): truth.language_of(row["kind"]) for key_id, row in truth.Truth(path).accounts.items()} if path else {}


def shuffle(blocks, seed, language):
    volume = {}
    for block in blocks:
        key = bytes(block[IDENTITY:IDENTITY + 16])
        volume[key] = volume.get(key, 0) + 1
    alike = {}
    for block in blocks:
        key = bytes(block[IDENTITY:IDENTITY + 16])
        alike.setdefault((block[DIALECT], language.get(key, ""), truth.volume_of(volume[key])), []).append(block)
    for stratum in sorted(alike):
        identities = [bytes(block[IDENTITY:IDENTITY_END]) for block in alike[stratum]]
        random.Random(f"{seed}/{stratum}").shuffle(identities)
        for block, identity in zip(alike[stratum], identities):
            block[IDENTITY:IDENTITY_END] = identity


def mixed(token, seed):
    """Invertible on 32 bits, so equal stays equal and different different."""
    token ^= seed * 0x9E3779B9 & 0xFFFFFFFF
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        token = (token ^ token >> shift) * factor & 0xFFFFFFFF
    return token ^ token >> 16


def vocabulary(blocks, seed, _):
    known = {}
    for block in blocks:
        chain, issued, returned, *parts = struct.unpack_from("<7I", block, COUNTS)
        begin = HEADER_BYTES + 8 * (chain + issued + returned)
        tokens = struct.unpack_from(f"<{sum(parts)}I", block, begin)
        for token in tokens:
            if token not in known:
                known[token] = mixed(token, seed)
        struct.pack_into(f"<{len(tokens)}I", block, begin, *(known[t] for t in tokens))


def no_parameters(blocks, *_):
    for block in blocks:
        struct.pack_into("<I", block, FLAGS, struct.unpack_from("<I", block, FLAGS)[0] & ~OPTIONS)
        struct.pack_into("<HH", block, LOGIT_BIAS_COUNT, 0, 0)  # and n
        block[SAMPLING:SAMPLING_END] = bytes(SAMPLING_END - SAMPLING)
        struct.pack_into("<Q", block, LOGIT_BIAS_HASH, 0)


DAY_NS = 86_400 * 10**9
TIMES = struct.Struct("<qqqq")  # asked, asked whole, first token, answered


def no_timing(blocks, seed, _):
    """An exchange lasts as long as before; the file stays in the order answered, as it was written."""
    days = {}
    for block in blocks:
        asked, whole, first, answered = TIMES.unpack_from(block, START)
        days.setdefault(asked // DAY_NS, []).append((asked, whole - asked, first - asked, answered - asked, block))
    for day in sorted(days):
        rows = days[day]
        moments = [row[0] for row in rows]
        random.Random(f"{seed}/{day}").shuffle(moments)
        of_account = {}
        for moment, row in zip(moments, rows):
            mine = of_account.setdefault(bytes(row[4][IDENTITY:IDENTITY + 16]), ([], []))
            mine[0].append(moment)
            mine[1].append(row)
        for mine, rows in of_account.values():
            rows.sort(key=lambda row: row[0])
            for moment, (_, whole, first, answered, block) in zip(sorted(mine), rows):
                TIMES.pack_into(block, START, moment, moment + whole, moment + first, moment + answered)
    blocks.sort(key=lambda block: TIMES.unpack_from(block, START)[3])
    for number, block in enumerate(blocks):
        struct.pack_into("<Q", block, ORDER, number + 1)


CHANGES = {"shuffle": shuffle, "vocabulary": vocabulary, "no-parameters": no_parameters, "no-timing": no_timing}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("change", choices=CHANGES)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--truth", help="of the recording; tells languages apart for shuffle")
    given = parser.parse_args()
    head, blocks = read(given.input)
    CHANGES[given.change](blocks, given.seed, languages(given.truth))
    write(given.output, head, blocks)


if __name__ == "__main__":
    main()
