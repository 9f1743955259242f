#!/usr/bin/env python3
"""Seeds of fuzz_realtime from the conversations in realtime_cases.h:
    tests/dataplane/llm/make_realtime_corpus.py tests/data/llm-realtime/corpus
"""
import pathlib
import re
import sys

cases = (pathlib.Path(__file__).parent / "realtime_cases.h").read_text().split("inline const RealtimeCase kRealtimeCases[] = {")[1]
apis = [("/v1/realtime?model", 0), ("/openai/realtime", 1), ("/ws/google", 2), ("/v1/realtime\"", 3), ("/v1/responses", 4)]
folder = pathlib.Path(sys.argv[1])
number = 0
for case in re.split(r"\n    \{\"", cases)[1:]:
    api = next(index for target, index in apis if target in case)
    events = re.findall(r"\{'([cs])', R\"\((.*?)\)\"\}", case)
    assert events
    for way in (0, 1, 2, 3):  # HTTP/2, compressed
        out = bytes([way | api << 2, 5])
        for who, json in events:
            command = (1 if who == "c" else 0) | (2 if way & 2 else 0) | (8 if api == 2 and who == "s" else 0)
            text = json.encode()
            out += bytes([command]) + len(text).to_bytes(2, "big") + text
        (folder / f"case-{number}").write_bytes(out)
        number += 1
print(number, "seeds")
