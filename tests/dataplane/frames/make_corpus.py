#!/usr/bin/python3
"""make_corpus.py CAPTURE...: writes tests/data/frames/corpus/NAME for each classic pcap of Ethernet, in the form of fuzz_frames: its
first frames, at most 6,000 bytes, a frame's time in steps of 10 ms."""
import pathlib
import struct
import sys

CORPUS = pathlib.Path(__file__).resolve().parents[3] / "tests" / "data" / "frames" / "corpus"


def frames(data):
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">"}.get(data[:4])
    if order is None or struct.unpack(order + "I", data[20:24])[0] != 1:
        return
    at = 24
    while at + 16 <= len(data):
        seconds, micros, size, _ = struct.unpack(order + "IIII", data[at:at + 16])
        yield seconds * 1_000_000 + micros, data[at + 16:at + 16 + size]
        at += 16 + size


for name in sys.argv[1:]:
    path, out, before = pathlib.Path(name), b"", None
    for micros, frame in frames(path.read_bytes()):
        step = 0 if before is None else max(0, min(255, (micros - before) // 10_000))
        before = micros
        if len(out) + len(frame) + 3 > 6_000:
            break
        out += struct.pack(">HB", len(frame), step) + frame
    if out:
        CORPUS.mkdir(parents=True, exist_ok=True)
        (CORPUS / (path.parent.name if path.stem == "input" else path.stem)).write_bytes(out)
