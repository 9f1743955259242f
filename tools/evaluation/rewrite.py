#!/usr/bin/python3
"""Changes a file of recorded exchanges (docs/recorded-exchanges.md) for a protocol of the evaluation.

  tools/evaluation/rewrite.py shuffle|vocabulary|no-parameters IN OUT [--seed N]

shuffle        exchanges change hands among accounts of one dialect and about as many exchanges: whatever ties a campaign's requests to its
               accounts is gone, each account keeps its client, address and number of exchanges
vocabulary     every token hash becomes another one, the same wherever it stands: no list of words knows any
no-parameters  sampling parameters and output options were never sent; the model's name stays

Deterministic by seed. The output is as confidential as the input: mode 0600.
"""
import argparse
import math
import os
import random
import struct
import sys

try:
    import xxhash

    import exchanges
except ImportError as missing:
    sys.exit(f"rewrite.py: {missing}; tools/install-packages test installs what it needs, and this runs with /usr/bin/python3")

HEADER_BYTES = exchanges.HEADER.itemsize


def at(field):
    return exchanges.HEADER.fields[field][1]


FLAGS, DIALECT, IDENTITY, IDENTITY_END = at("flags"), at("dialect"), at("key_id"), at("status")
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


def shuffle(blocks, seed):
    volume = {}
    for block in blocks:
        key = bytes(block[IDENTITY:IDENTITY + 16])
        volume[key] = volume.get(key, 0) + 1
    alike = {}
    for block in blocks:
        key = bytes(block[IDENTITY:IDENTITY + 16])
        alike.setdefault((block[DIALECT], int(math.log2(volume[key]))), []).append(block)
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


def vocabulary(blocks, seed):
    known = {}
    for block in blocks:
        chain, issued, returned, *parts = struct.unpack_from("<7I", block, COUNTS)
        begin = HEADER_BYTES + 8 * (chain + issued + returned)
        tokens = struct.unpack_from(f"<{sum(parts)}I", block, begin)
        for token in tokens:
            if token not in known:
                known[token] = mixed(token, seed)
        struct.pack_into(f"<{len(tokens)}I", block, begin, *(known[t] for t in tokens))


def no_parameters(blocks, _):
    for block in blocks:
        struct.pack_into("<I", block, FLAGS, struct.unpack_from("<I", block, FLAGS)[0] & ~OPTIONS)
        struct.pack_into("<HH", block, LOGIT_BIAS_COUNT, 0, 0)  # and n
        block[SAMPLING:SAMPLING_END] = bytes(SAMPLING_END - SAMPLING)
        struct.pack_into("<Q", block, LOGIT_BIAS_HASH, 0)


CHANGES = {"shuffle": shuffle, "vocabulary": vocabulary, "no-parameters": no_parameters}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("change", choices=CHANGES)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    head, blocks = read(given.input)
    CHANGES[given.change](blocks, given.seed)
    write(given.output, head, blocks)


if __name__ == "__main__":
    main()
