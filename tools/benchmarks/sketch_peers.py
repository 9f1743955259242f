#!/usr/bin/env python3
"""Runs datasketch, rensa and FAISS over what `bench_stages make` wrote; prints JSON.

One thread, CPU time, the least of several rounds. Tokens, shingles and (where a call takes them) their hashes are
made before the clock starts, which favours the peers: ours is measured from the text and from token hashes.
"""
import argparse
import importlib.metadata
import json
import os
import re
import time

os.environ.update(OMP_NUM_THREADS="1", RAYON_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import faiss  # noqa: E402  (the thread counts are read at import)
import numpy as np  # noqa: E402
import datasketch  # noqa: E402
import rensa  # noqa: E402

BINS, DIMS, BEST = 128, 128, 8


def shingles_of(line):
    words = re.findall(r"\w+|[^\w\s]+", line)
    return sorted({" ".join(words[i : i + 3]).encode() for i in range(len(words) - 2)})


def least_seconds(work, rounds):
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def flat(hash_rows):
    offsets = np.zeros(len(hash_rows) + 1, dtype=np.uint64)
    offsets[1:] = np.cumsum([len(row) for row in hash_rows])
    return np.fromiter((h for row in hash_rows for h in row), dtype=np.uint64), offsets


def estimate_error(signatures, pairs, exact):
    rows = np.asarray(signatures)
    guesses = (rows[0::2] == rows[1::2]).mean(axis=1)
    return {f"{cell:.1f}": round(float(np.sqrt(np.mean([(guesses[i] - exact[i]) ** 2 for i in index]))), 4)
            for cell, index in pairs.items()}


class Pairs:
    """Pairs of texts with their exact similarity, grouped by the one that was asked for."""

    def __init__(self, path):
        self.sets = [shingles_of(line) for line in open(path)]
        lefts, rights = map(lambda part: [set(s) for s in part], (self.sets[0::2], self.sets[1::2]))
        self.exact = [len(a & b) / len(a | b) for a, b in zip(lefts, rights)]
        self.cells = {}
        for i, jaccard in enumerate(self.exact):
            self.cells.setdefault(min((0.2, 0.5, 0.8), key=lambda cell: abs(cell - jaccard)), []).append(i)

    def rmse(self, signatures):
        return estimate_error(signatures, self.cells, self.exact)


def sketches(prompts, pairs):
    make = rensa.RMinHash
    hashes, offsets = flat(make.hash_token_sets(prompts))
    pair_hashes, pair_offsets = flat(make.hash_token_sets(pairs.sets))
    calls = [
        ("datasketch", "MinHash.bulk", "shingles", 3,
         lambda sets: datasketch.MinHash.bulk(sets, num_perm=BINS),
         lambda made: [m.hashvalues for m in made]),
        ("rensa", "CMinHash.digests_from_token_sets", "shingles", 7,
         lambda sets: rensa.CMinHash.digests_from_token_sets(sets, BINS, 1), lambda made: made),
        ("rensa", "RMinHash.digest_matrix_from_token_byte_sets", "shingles", 7,
         lambda sets: make.digest_matrix_from_token_byte_sets(sets, BINS, 1), lambda made: made.to_rows()),
        ("rensa", "RMinHash.digest_matrix_from_token_sets_rho", "shingles", 7,
         lambda sets: make.digest_matrix_from_token_sets_rho(sets, BINS, 1), lambda made: made.to_rows()),
    ]
    rows = []
    for library, call, start, rounds, run, signatures in calls:
        seconds = least_seconds(lambda: run(prompts), rounds)
        rows.append({"library": library, "call": call, "from": start, "per_s": len(prompts) / seconds,
                     "rmse": pairs.rmse(signatures(run(pairs.sets)))})
    for name in ("digest_matrix_from_flat_token_hashes", "digest_matrix_from_flat_token_hashes_rho"):
        call = getattr(make, name)
        seconds = least_seconds(lambda: call(hashes, offsets, BINS, 1), 9)
        rows.append({"library": "rensa", "call": f"RMinHash.{name}", "from": "hashes", "per_s": len(prompts) / seconds,
                     "rmse": pairs.rmse(call(pair_hashes, pair_offsets, BINS, 1).to_rows())})
    return rows


def lsh(prompts):
    """Probe and insert of ready-made signatures, 32 bands of 4."""
    made = datasketch.MinHash.bulk(prompts, num_perm=BINS)
    index = datasketch.MinHashLSH(params=(32, 4), num_perm=BINS)

    def probe_and_insert():
        for key, signature in enumerate(made):
            index.query(signature)
            index.insert(key, signature, check_duplication=False)

    rows = [{"library": "datasketch", "call": "MinHashLSH query + insert",
             "per_s": len(prompts) / least_seconds(probe_and_insert, 1)}]
    matrix = rensa.RMinHash.digest_matrix_from_token_byte_sets(prompts, BINS, 1)
    seconds = min(least_seconds(
        lambda index=rensa.RMinHashLSH(0.5, BINS, 32): index.insert_matrix_and_query_duplicate_flags(matrix), 1)
        for _ in range(5))
    rows.append({"library": "rensa", "call": "RMinHashLSH.insert_matrix_and_query_duplicate_flags",
                 "per_s": len(prompts) / seconds})
    return rows


def top_k(folder):
    rows, queries = (np.fromfile(f"{folder}/{name}.i8", dtype=np.int8).reshape(-1, DIMS).astype(np.float32)
                     for name in ("rows", "queries"))
    ours = np.fromfile(f"{folder}/top_k.i32", dtype=np.int32).reshape(-1, BEST, 2)
    faiss.omp_set_num_threads(1)
    faiss.cvar.distance_compute_blas_threshold = 20  # its fastest way here, by a factor of five
    out = []
    for name, index in (("IndexFlatIP", faiss.IndexFlatIP(DIMS)),
                        ("IndexScalarQuantizer QT_8bit",
                         faiss.IndexScalarQuantizer(DIMS, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT))):
        if not index.is_trained:
            index.train(rows)
        index.add(rows)
        found = {}

        def search():
            found["dots"], found["rows"] = index.search(queries, BEST)

        seconds = least_seconds(search, 5 if name == "IndexFlatIP" else 1)
        # Sums stay below 2^24, so floats hold them exactly; equal products may come in another order.
        exact = queries @ rows.T
        kth = np.partition(exact, -BEST, axis=1)[:, -BEST]
        recall = float(np.mean(np.take_along_axis(exact, found["rows"], axis=1) >= kth[:, None]))
        out.append({"library": "faiss", "call": name, "per_s": len(queries) / seconds, "recall": recall})
    taken = np.take_along_axis(exact, ours[:, :, 0].astype(np.int64), axis=1)
    if not np.array_equal(taken, ours[:, :, 1].astype(np.float32)):
        raise SystemExit("sketch_peers: our top k has a product that numpy does not have")
    return out, float(np.mean(taken >= kth[:, None]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    folder = parser.parse_args().folder
    prompts = [shingles_of(line) for line in open(f"{folder}/prompts.txt")]
    search, recall = top_k(folder)
    versions = {name: importlib.metadata.version(name) for name in ("datasketch", "rensa", "faiss-cpu")}
    print(json.dumps({"versions": versions, "sketches": sketches(prompts, Pairs(f"{folder}/pairs.txt")),
                      "lsh": lsh(prompts), "top_k": search, "our_recall": recall}))


if __name__ == "__main__":
    main()
