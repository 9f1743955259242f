#!/usr/bin/env python3
"""Golden vectors of the flow embedding under the all-zero salt, from docs/sketches.md alone.

usage: golden_flow.py > tests/data/gpu/flow_golden.txt

Plain Python, written from the definition and not from the C++: change it only when the definition changes.
A line `flow NAME STATE STEPS ROWS` stands for the numbers that the generator below draws from STATE.
"""
from math import isqrt

M64 = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix64(x):
    x ^= x >> 30
    x = x * 0xBF58476D1CE4E5B9 & M64
    x ^= x >> 27
    x = x * 0x94D049BB133111EB & M64
    return x ^ x >> 31


def seed(start, index):
    return mix64(start + index * GOLDEN & M64)


def weight(f, tap, channel):
    word = seed(seed(0, 5), 8 * f + tap + 1)
    return 2 * (word >> 8 * channel & 7) - 7


def code(x):
    x = min(x + 1, 2**32 - 1)
    e = x.bit_length() - 1
    return 4 * e + ((x << 2 >> e) & 3)


def channels(size, gap, client):
    return (code(size) if client else 0, 0 if client else code(size), code(gap), 96 if client else 32)


def kept(pooled):
    return max(-127, min(127, pooled >> 6))


def shape(steps):
    words = [channels(*step) for step in steps[:256]]
    n = len(words)
    if n == 0:
        return bytes(128)
    greatest, means = [], []
    for f in range(64):
        dilation = 2 ** (f // 16)
        sums = []
        for i in range(n):
            total = 0
            for tap in range(8):
                at = i + (tap - 4) * dilation
                if 0 <= at < n:
                    total += sum(weight(f, tap, c) * words[at][c] for c in range(4))
            sums.append(total)
        greatest.append(kept(max(sums)))
        total = sum(sums)
        means.append(kept(abs(total) // n * (-1 if total < 0 else 1)))
    return bytes(v & 255 for v in greatest + means)


def content(rows):
    sums = [sum(row[d] for row in rows) for d in range(128)]
    norm = isqrt(sum(s * s for s in sums))
    if norm == 0:
        return bytes(128)
    shift = max(0, norm.bit_length() - 15)
    factor = 362 * 65536 // (norm >> shift)
    return bytes(max(-127, min(127, ((s >> shift) * factor + 32768) >> 16)) & 255 for s in sums)


def emit(name, state, step_count, row_count):
    print("flow", name, state, step_count, row_count)

    def draw():
        nonlocal state
        state = state * 6364136223846793005 + 1442695040888963407 & M64
        return state >> 32

    steps = []
    for _ in range(step_count):
        size = draw()
        size >>= draw() % 32
        gap = draw()
        gap >>= draw() % 32
        steps.append((size, gap, draw() % 2))
    rows = []
    for _ in range(row_count):
        values = [draw() >> 24 for _ in range(128)]
        rows.append([v - 256 if v > 127 else v for v in values])
    print("content", content(rows).hex())
    print("shape", shape(steps).hex())


print("# Made by tests/gpu/golden_flow.py; int8 as bytes in hex digits.")
for at, (steps, rows) in enumerate([(0, 0), (0, 1), (1, 0), (2, 2), (9, 1), (40, 5), (255, 1), (256, 64), (300, 3)]):
    emit(f"random{steps}", at + 1, steps, rows)
