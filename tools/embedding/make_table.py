#!/usr/bin/env python3
"""Makes a static embedding table out of a sentence model and says how good it is.

usage: make_table.py MODEL_FOLDER LEE_FOLDER EMBED_LINES OUT

Every whole word of the model's vocabulary goes through the model alone. The vectors are centred and turned onto
their principal axes; the first two, which are in all words, are left out, the next 128 divided by the square root
of what they spread (the choices were made on the train split of Banking77). Rows of frequent words are shorter:
the vocabulary is sorted by frequency. So far Model2Vec's recipe. The words' order is kept: where two meet in a row,
the loader keeps the more frequent one.

Judged through embed_lines, so by the bits that the daemon computes, beside the built-in random table.
"""
import hashlib
import json
import os
import struct
import subprocess
import sys

import numpy as np
import xxhash

from minilm import SentenceModel

MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DIMS, ROWS_LOG2, NORM = 128, 16, 362
HERE = os.path.dirname(os.path.abspath(__file__))


def rows_of(vectors):
    centred = vectors - vectors.mean(0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    _, spread, axes = np.linalg.svd(centred, full_matrices=False)
    turned = centred @ axes[2 : 2 + DIMS].T / np.sqrt(spread[2 : 2 + DIMS])
    turned /= np.linalg.norm(turned, axis=1, keepdims=True)
    share = 1 / (np.arange(1, len(vectors) + 1) * np.log(len(vectors)))  # of all words, by Zipf's law
    turned *= NORM * np.sqrt(1e-3 / (1e-3 + share))[:, None]
    return np.clip(np.rint(turned), -127, 127).astype(np.int8)


def write_table(path, words, rows):
    """gpu/sketch/table_file.h has the format. Returns the checksum."""
    payload = b"".join(bytes([len(word)]) + word.encode() + row.tobytes() for word, row in zip(words, rows))
    header = bytearray(64)
    header[:8] = b"SWEMBEDT"
    struct.pack_into("<IIQQ", header, 8, 1, DIMS, len(words), len(payload))
    struct.pack_into("<I", header, 40, ROWS_LOG2)
    checksum = xxhash.xxh3_64_intdigest(payload, seed=xxhash.xxh3_64_intdigest(bytes(header)))
    struct.pack_into("<Q", header, 32, checksum)
    with open(path, "wb") as file:
        file.write(header + payload)
    return checksum


def unit(rows):
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9)


def lee(folder):
    """50 news texts and how alike people found each pair (Lee, Pincombe, Welsh 2005)."""
    texts = [line.strip() for line in open(f"{folder}/lee.cor", encoding="latin-1") if line.strip()]
    human = np.loadtxt(f"{folder}/similarities0-1.txt")
    pairs = np.triu_indices(len(texts), 1)
    return texts, lambda e: {"correlation with people": np.corrcoef((e @ e.T)[pairs], human[pairs])[0, 1]}


def banking(split):
    """Customers' questions; two are alike when they have one intent."""
    ranges = [line.rstrip("\n").split("\t") for line in open(f"{HERE}/banking77_intents.tsv") if line[0] != "#"]
    items = [json.loads(line) for line in open(f"{HERE}/../stillgen/data/{split}/banking77.jsonl", encoding="utf-8")]
    intents = np.array([next(name for name, first, last in ranges if first <= item["id"] <= last) for item in items])

    def judge(e):
        alike = e @ e.T
        pairs = np.triu_indices(len(intents), 1)
        same, dots = intents[pairs[0]] == intents[pairs[1]], alike[pairs]
        ranks = dots.argsort().argsort()[same]
        area = (ranks.mean() - (len(ranks) - 1) / 2) / (~same).sum()
        found = (dots[same] > np.quantile(dots[~same], 0.999)).mean()
        np.fill_diagonal(alike, -2)
        return {"AUC": area, "found at 1 false in 1,000": found,
                "nearest has the intent": (intents[alike.argmax(1)] == intents).mean()}

    return [" ".join(item["text"].split()) for item in items], judge


def embed(program, table, texts):
    out = subprocess.run([program, *table], input="\n".join(texts).encode(), capture_output=True, check=True).stdout
    return unit(np.frombuffer(out, np.int8).reshape(-1, DIMS).astype(np.float32))


def main():
    model_folder, lee_folder, program, out = sys.argv[1:]
    with open(f"{model_folder}/model.safetensors", "rb") as file:
        if hashlib.sha256(file.read()).hexdigest() != MODEL_SHA256:
            raise SystemExit("make_table: the model's weights have another checksum than expected; look at the package")
    model = SentenceModel(model_folder)
    words = [word for word in model.vocabulary if word.isalnum() and word.isascii()]
    checksum = write_table(out, words, rows_of(model.encode(words)))
    print(f"{out}: {len(words):,} words, checksum {checksum:016x}\n")
    print("| set | figure | random table | this table | the model itself |\n|---|---|---|---|---|")
    for name, (texts, judge) in {"Lee's 50 news texts": lee(lee_folder), "Banking77, train split": banking("train"),
                                 "Banking77, test split": banking("test")}.items():
        answers = [judge(embed(program, [], texts)), judge(embed(program, [out], texts)), judge(unit(model.encode(texts)))]
        for figure in answers[0]:
            print(f"| {name} | {figure} | " + " | ".join(f"{answer[figure]:.3f}" for answer in answers) + " |")


if __name__ == "__main__":
    main()
