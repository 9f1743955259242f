#!/usr/bin/env python3
"""Golden vectors of docs/text.md in plain Python, written from the document and not from the C++.

    python3 tests/base/text/golden.py > tests/base/text/golden.txt

Folding is taken from base/text/make_fold_table.py, which is its definition (Unicode 14.0); UTF-8 repair is Python's own
decoder, cutting and hashing are below. Each line: text bytes in hex, a blank, the token hashes in hex under the all-zero salt.
"""
import contextlib
import io
import pathlib
import random
import runpy

with contextlib.redirect_stdout(io.StringIO()):
    table = runpy.run_path(str(pathlib.Path(__file__).parents[3] / "base/text/make_fold_table.py"), run_name="table")
SPACE, WORD, PUNCT, IGNORE, BIGRAM = range(5)
M64 = 2**64 - 1


def fold(cp):
    out = [cp]
    while True:
        again = [d for c in out for d in table["fold"](c)]
        if again == out:
            return out
        out = again


def mix(x):
    x ^= x >> 30
    x = x * 0xbf58476d1ce4e5b9 & M64
    x ^= x >> 27
    x = x * 0x94d049bb133111eb & M64
    return x ^ x >> 31


def token_hash(token, salt=0):
    s, k1 = mix(salt + 0x9e3779b97f4a7c15 & M64), mix(salt + 0x3c6ef372fe94f82a & M64)
    for at in range(0, len(token), 16):
        block = token[at:at + 16].ljust(16, b"\0")
        product = (int.from_bytes(block[:8], "little") ^ s) * (int.from_bytes(block[8:], "little") ^ k1)
        s = product & M64 ^ product >> 64
    return (s * 0xff51afd7ed558ccd & M64) >> 32


def tokens(data):
    out, run, run_class = [], [], SPACE

    def close():
        if run_class == BIGRAM and run:
            out.extend([a + b for a, b in zip(run, run[1:])] or run)
        elif run:
            token = b""
            for c in run:
                if len(token) + len(c) > 64:
                    out.append(token)
                    token = b""
                token += c
            out.append(token)
        run.clear()

    for c in data.decode("utf-8", "replace"):
        for f in fold(ord(c)):
            char_class = table["class_of"](f)
            if char_class == IGNORE:
                continue
            if char_class != run_class:
                close()
                run_class = char_class
            if char_class != SPACE:
                run.append(chr(f).encode())
    close()
    return out


CASES = [
    "", "a", "Hello, World!", "The quick brown fox jumps over the lazy dog.", "snake_case CamelCase x86-64 3.14159",
    "don't stop...  (really?!)\r\n\tnew line", "order 12 of 3456", "١٢٣ ४५६ １２３ ²½", "Straße STRASSE straße",
    "café cafe\u0301 CAFÉ", "раураl аррlе Сорy", "ΑΒΓ αβγ ο", "ze\u200bro wi\u00addth jo\u200din\ufeff",
    "ﬁne ﬀ Ｆｕｌｌ 𝐛𝐨𝐥𝐝 𝒮 ℌ", "日本語のテキスト", "中", "中文 and English混合text", "สวัสดีครับ", "ភាសាខ្មែរ", "မြန်မာစာ", "ພາສາລາວ", "안녕하세요 세계",
    "ｶﾞ ㍍ ㈱", "Привет, мир!", "Ελληνικά ςΣσ", "हिन्दी में लिखें", "مَرْحَبًا بالعالم", "שָׁלוֹם", "emoji 😀👍🏽👩‍💻 end", "a" * 64, "b" * 65, "c" * 200, "=" * 130,
    "é" * 40, "x" * 63 + "é" + "yz", "word" * 20 + "日本", "tab\tNUL\0end\x7f!", "nbsp\u00a0line\u2028sep", "_under_ __dunder__",
    "İstanbul ıI", "Ŀ ŉ ǰ ΐ", "\u0345 \u1e9e \u017f", "print('x'); // done -> ok == 5", "\ud7ff \ue000 \U0010ffff \U00020000\U00020001",
]
BYTES = [b"\xff", b"a\xffb", b"\xc3", b"\xe2\x82", b"\xe2\x82a", b"\xf0\x9f\x98", b"\xed\xa0\x80z", b"\xc0\xaf", b"\xf5\x80\x80\x80",
         b"ok \xf0\x9f\x98\x80\x80 ok", b"\x80\x80", b"\xe2\x28\xa1"]


def main():
    rng = random.Random(7)
    cases = [c.encode("utf-8", "surrogatepass") for c in CASES] + BYTES
    pools = ["abcXYZ019 _.,!?-", "aé日ไ\u200b \u0301А", "".join(map(chr, range(0x20, 0x250)))]
    for pool in pools:
        cases += ["".join(rng.choice(pool) for _ in range(rng.randrange(1, 120))).encode() for _ in range(40)]
    cases += ["".join(chr(rng.choice([*range(0x80, 0xD800), *range(0xE000, 0x30000)])) for _ in range(40)).encode() for _ in range(60)]
    cases += [bytes(rng.randrange(256) for _ in range(40)) for _ in range(40)]
    for case in cases:
        print(case.hex() or "-", *(f"{token_hash(t):08x}" for t in tokens(case)))


if __name__ == "__main__":
    main()
