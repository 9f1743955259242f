#!/usr/bin/env python3
"""Golden vectors of the sketches under the all-zero salt, from docs/sketches.md alone.

usage: golden_sketch.py RARITY_WORDS.inc > tests/data/gpu/sketch_golden.txt

Plain Python, written from the definitions and not from the C++: change it only when a definition changes
(and with it the sketch version).
"""
import re
import sys
from fractions import Fraction
from math import isqrt

M32, M64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF
P1, P2, P3, P4, P5 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1
GOLDEN = 0x9E3779B97F4A7C15


def mix32(x):
    x ^= x >> 16
    x = x * 0x85EBCA6B & M32
    x ^= x >> 13
    x = x * 0xC2B2AE35 & M32
    return x ^ x >> 16


def mix64(x):
    x ^= x >> 30
    x = x * 0xBF58476D1CE4E5B9 & M64
    x ^= x >> 27
    x = x * 0x94D049BB133111EB & M64
    return x ^ x >> 31


def seed(index, salt=0):
    return mix64((salt + index * GOLDEN) & M64)


SHINGLE, BAND, PROBE = (seed(i) >> 32 for i in (1, 2, 3))
SIMHASH = [seed(16 + j) >> 32 for j in range(16)]


def token_hash(word):
    """The token hash of docs/text.md, salt zero."""
    k0, k1 = mix64(GOLDEN), mix64(0x3C6EF372FE94F82A)
    data = word.encode()
    data += b"\0" * (-len(data) % 16)
    state = k0
    for at in range(0, len(data), 16):
        lo = int.from_bytes(data[at : at + 8], "little")
        hi = int.from_bytes(data[at + 8 : at + 16], "little")
        product = (lo ^ state) * (hi ^ k1)
        state = product & M64 ^ product >> 64
    return (state * 0xFF51AFD7ED558CCD & M64) >> 32


def shingles(tokens, cut):
    segments = [tokens[:cut], tokens[cut:]] if 0 < cut < len(tokens) else [tokens]
    for segment in segments:
        if 0 < len(segment) < 3:
            yield segment
        for i in range(len(segment) - 2):
            yield segment[i : i + 3]


def shingle_hash(shingle):
    total = SHINGLE + len(shingle) * P4
    for token, prime in zip(shingle, (P1, P2, P3)):
        total += token * prime
    return min(mix32(total & M32), 0xFFFFFF7F)


def oph(tokens, cut):
    bins = {}
    for shingle in shingles(tokens, cut):
        value = shingle_hash(shingle)
        index = value % 128
        bins[index] = min(value, bins.get(index, value))
    values = []
    for i in range(128):
        if i in bins:
            values.append(bins[i])
            continue
        x = mix32((PROBE + i * P1) & M32)
        first, step = x % 128, (x >> 7) % 128 | 1
        attempt = next(a for a in range(128) if (first + a * step) % 128 in bins)
        values.append(bins[(first + attempt * step) % 128])
    return values


def bands(values):
    out = []
    for b in range(32):
        v = values[4 * b : 4 * b + 4]
        out.append(mix32((v[0] * P1 + v[1] * P2 + v[2] * P3 + v[3] * P4 + (b + 1) * P5 + BAND) & M32))
    return out


def weight(token, rarity):
    rarity_class = rarity.get(token, 208)
    return 1 if rarity_class < 80 else 2 if rarity_class < 128 else 4 if rarity_class < 176 else 8


def simhash(tokens, rarity):
    signed = [0] * 512
    for token in tokens:
        w = weight(token, rarity)
        for j in range(16):
            word = mix32(token ^ SIMHASH[j])
            for bit in range(32):
                signed[32 * j + bit] += w if word >> bit & 1 else -w
    value = sum(1 << p for p in range(512) if signed[p] > 0)
    return value.to_bytes(64, "little")


def embedding(tokens, rarity):
    sums = [0] * 128
    for token in tokens:
        w = weight(token, rarity)
        row = token % 65536
        for word in (0, 1):
            bits = mix64((0x5354494C4C524F57 + (2 * row + word + 1) * GOLDEN) & M64)
            for bit in range(64):
                sums[64 * word + bit] += 32 * w if bits >> bit & 1 else -32 * w
    norm = isqrt(sum(s * s for s in sums))
    if norm == 0:
        return bytes(128)
    shift = max(0, norm.bit_length() - 15)
    factor = 362 * 65536 // (norm >> shift)
    out = []
    for s in sums:
        floor_shifted = Fraction(s, 1 << shift).__floor__()
        rounded = (Fraction(floor_shifted * factor, 65536) + Fraction(1, 2)).__floor__()
        out.append(max(-127, min(127, rounded)) & 0xFF)
    return bytes(out)


def emit(name, tokens, cut, rarity):
    values = oph(tokens, cut)
    nibbles = [v >> 7 & 15 for v in values]
    packed = bytes(nibbles[2 * i] | nibbles[2 * i + 1] << 4 for i in range(64))
    print("text", name, cut, "".join(f"{t:08x}" for t in tokens))
    print("bands", "".join(f"{key:08x}" for key in bands(values)))
    print("oph", packed.hex())
    print("simhash", simhash(tokens, rarity).hex())
    print("embedding", embedding(tokens, rarity).hex())


def main():
    rarity = {}
    words = re.findall(r'^\{"(\w+)", (\d+)\},$', open(sys.argv[1], encoding="utf-8").read(), re.M)
    for word, rarity_class in words:  # words that are not ASCII hash only after folding: not used below
        rarity.setdefault(token_hash(word), int(rarity_class))
    print("# Made by tests/gpu/golden_sketch.py; 32-bit numbers as hex digits, bytes in memory order.")
    for word in ("the", "a", "card", "please", "photosynthesis", "workout"):
        print("rarity", word, f"{token_hash(word):08x}", rarity.get(token_hash(word), 208))
    state = 1
    def token():
        nonlocal state
        state = state * 6364136223846793005 + 1442695040888963407 & M64
        return state >> 32
    for n in (1, 2, 3, 4, 8, 20, 100, 257, 700):
        emit(f"random{n}", [token() for _ in range(n)], 0, rarity)
    for n, cut in ((2, 1), (7, 3), (7, 7), (7, 9), (40, 1), (40, 39), (300, 150)):
        emit(f"cut{n}at{cut}", [token() for _ in range(n)], cut, rarity)
    for n in (1, 2, 3, 50, 600):
        emit(f"equal{n}", [0xDEADBEEF] * n, 0, rarity)
    sentence = "the teacher explains how the light reaches a leaf and why photosynthesis needs it".split()
    emit("sentence", [token_hash(word) for word in sentence], 0, rarity)
    listed = [token_hash(word) for word, _ in words if word.isascii()]
    emit("listed", listed[:400], 200, rarity)


main()
