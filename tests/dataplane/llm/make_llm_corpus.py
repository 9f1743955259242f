#!/usr/bin/env python3
"""Writes seeds for fuzz_llm from recorded bodies: make_llm_corpus.py DIRECTORY. One of each target, type and provider, the shortest."""
import json
import pathlib
import sys

TARGETS = ["/chat/completions", "/responses", "/messages", ":generateContent", ":streamGenerateContent", "/converse-stream",
           "/invoke-with-response-stream", "/api/chat", "/messages/batches", "/files", "/embeddings"]
TYPES = {".json": 0, ".sse": 2, ".ndjson": 3, ".bin": 4}
BODIES = pathlib.Path(__file__).parents[2] / "data/llm-bodies"


def main(out):
    best = {}
    for case in sorted(BODIES.glob("*/*/*/case.json")):
        request = case.with_name("request.json")
        responses = sorted(case.parent.glob("response.*"))
        if not request.exists() or not responses:
            continue
        text = case.read_text()
        target = next((i for i in reversed(range(len(TARGETS))) if TARGETS[i] in text), len(TARGETS))
        body = request.read_bytes() + b"\0" + responses[0].read_bytes()
        key = (target, TYPES.get(responses[0].suffix, 0), case.parts[-4])
        if len(body) <= 12_000 and (key not in best or len(body) < len(best[key])):
            best[key] = body
    out.mkdir(parents=True, exist_ok=True)
    for (target, kind, provider), body in sorted(best.items()):
        choice = target + (len(TARGETS) + 1) * kind
        (out / f"{provider}-{target}-{kind}").write_bytes(bytes([choice, 6]) + body)
    print(json.dumps({"files": len(best), "bytes": sum(map(len, best.values()))}))


main(pathlib.Path(sys.argv[1]))
