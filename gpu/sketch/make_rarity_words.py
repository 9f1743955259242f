#!/usr/bin/env python3
"""Prints gpu/sketch/rarity_words.inc: words with their rarity class from sets of sample prompts.

usage: make_rarity_words.py SET.jsonl...   (one {"text": ...} a line; each set counts at most 800 texts)

A word is listed when at least three sets have it and at least 6 texts in all; its class is
floor(16 * log2(texts / texts with the word)), at least 1. Function words of other languages, of which
the sets have too few texts, follow with class 64.

The list beside this file was made from awesome-chatgpt-prompts (CC0), Banking77 (CC BY 4.0; Casanueva et al.,
"Efficient Intent Detection with Dual Sentence Encoders", 2020), chatterbot-corpus (BSD-3-Clause), GPTeacher
(MIT), GSM8K (MIT), HumanEval (MIT), PyRIT's templates (MIT) and Self-Instruct's seeds (Apache-2.0). It holds
counts of words only, none of their texts.
"""
import json
import math
import re
import sys
import unicodedata
from collections import Counter, defaultdict

TEXTS_OF_A_SET = 800
# Near enough to docs/text.md for these scripts; the loader hashes every word by the real tokenizer and
# refuses one that it cuts in two.
TOKEN = re.compile(r"\w+|[^\w\s]+")
SCRIPTS_END = "\u0530"  # Latin, Greek, Cyrillic


def tokens_of(text):
    folded = unicodedata.normalize("NFKD", text).casefold()
    folded = "".join(c for c in folded if not unicodedata.combining(c))
    return TOKEN.findall(re.sub(r"\d", "0", unicodedata.normalize("NFC", folded)))


FUNCTION_WORDS = """
de la que el en y a los del las un por con no una su para es al lo como más pero sus le ya o este sí
porque esta entre cuando muy sin sobre también me hasta hay donde quien desde todo nos
le les des et à il ne je que se qui ce dans sur pas plus par pour une avec est sont au aux du cette
ces mais ou où vous nous leur elle ils été être avoir
der die und das den von zu mit sich des auf für ist im dem nicht ein eine als auch es an werden aus
er hat dass sie nach wird bei einer um am sind noch wie einem über einen so zum war haben nur oder
e o do da em um não uma os no se na mais as dos mas ao ele das à seu sua ou quando muito nos já eu
il di che è un per in non sono da con si una le del alla dei nel come più anche ma ha della
het een van ik te dat niet zijn op aan met als voor er maar om hem dan zou wat mijn men dit
и в не на я что с он как это по но из у за так же от бы для мы вы
"""


def main(paths):
    texts_with = Counter()
    sets_with = defaultdict(set)
    texts = 0
    for path in paths:
        lines = open(path, encoding="utf-8").read().strip().split("\n")
        step = max(1, len(lines) // TEXTS_OF_A_SET)
        for line in lines[::step][:TEXTS_OF_A_SET]:
            texts += 1
            for token in set(tokens_of(json.loads(line)["text"])):
                if len(token.encode()) <= 64 and max(token) < SCRIPTS_END:
                    texts_with[token] += 1
                    sets_with[token].add(path)
    classes = {}
    for token, count in texts_with.items():
        if count >= 6 and len(sets_with[token]) >= 3:
            classes[token] = min(255, max(1, math.floor(16 * math.log2(texts / count))))
    for token in tokens_of(FUNCTION_WORDS):
        classes.setdefault(token, 64)
    print("// Made by make_rarity_words.py; see it for what the classes mean. Do not edit.")
    for token, rarity_class in sorted(classes.items(), key=lambda item: (item[1], item[0])):
        quoted = token.replace("\\", "\\\\").replace('"', '\\"')
        print(f'{{"{quoted}", {rarity_class}}},')


main(sys.argv[1:])
