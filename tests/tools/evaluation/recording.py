"""Writes files of recorded exchanges for tests: independent of the reader, field by field as docs/recorded-exchanges.md and
dataplane/llm/exchange.h have them."""
import os
import struct
import subprocess
import sys
import tempfile

import xxhash

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, "tools", "evaluation"))

HEADER_BYTES = 296
ACCOUNT_KEY = "hex:7374696c6c77617463682d6578616d706c65"


def block(order=1, key=1, at_s=0.0, tokens=(), address=(), tokens_out=0, flags=1 << 22, output=(), chain=(), model=b"", text=None):
    """One exchange. `text` is the exact hash of the instruction; by default equal tokens are equal texts."""
    h = bytearray(HEADER_BYTES)
    at_ns = int(at_s * 1e9) + 1_700_000_000_000_000_000
    struct.pack_into("<QQQ qqqq Q I", h, 0, order, 0, 0, at_ns, at_ns, at_ns, at_ns, 9, flags)
    h[71:87] = key.to_bytes(16, "big") if isinstance(key, int) else key
    h[104:104 + len(address)] = bytes(address)
    h[120] = len(address)
    struct.pack_into("<HH", h, 152, 200, 1)
    struct.pack_into("<I", h, 180, tokens_out)
    words = struct.pack(f"<{len(tokens)}I", *tokens)
    struct.pack_into("<Q", h, 208 + 8, (xxhash.xxh3_64_intdigest(words) | 1 if tokens else 0) if text is None else text)
    struct.pack_into("<I", h, 260, len(chain))
    struct.pack_into("<IIII I", h, 272, 0, len(tokens), 0, len(output), len(model))
    return bytes(h) + struct.pack(f"<{len(chain)}Q", *chain) + words + struct.pack(f"<{len(output)}I", *output) + model


def file_of(blocks, count=None):
    data = b"SWEXCHG3" + struct.pack("<IIQQ", HEADER_BYTES, 0, 1, 2)
    for b in blocks:
        data += struct.pack("<QQ", len(b), xxhash.xxh3_64_intdigest(b)) + b + bytes(-len(b) % 8)
    return data + struct.pack("<QQ", 0, len(blocks) if count is None else count)


def path_of(data):
    """A temporary file with these bytes; lives as long as the test's process."""
    file = tempfile.NamedTemporaryFile(suffix=".exchanges")
    file.write(data)
    file.flush()
    _kept.append(file)
    return file.name


_kept = []


def recorded(rows):
    """Exchanges of rows (keywords of block, in the order asked)."""
    import exchanges
    return exchanges.read(path_of(file_of([block(order=i + 1, **row) for i, row in enumerate(rows)])))


def key_id(key):
    return key.to_bytes(16, "big").hex()


def stillgen(folder, seed, mix="chat=40,t1=1x12", hours=None):
    """A small world recorded by `stillgen record`: the paths of exchanges and truth."""
    name = os.path.join(folder, str(seed))
    subprocess.run([os.environ.get("STILLGEN", f"{ROOT}/build/bin/stillgen"), "record", "--split", "dev", "--mix", mix, "--seed", str(seed), "--account-key", ACCOUNT_KEY,
                    "--out", name + ".exchanges", "--truth", name + ".json", *(["--hours", str(hours)] if hours else [])],
                   check=True, capture_output=True)
    return name + ".exchanges", name + ".json"
