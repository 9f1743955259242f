#!/usr/bin/env python3
"""Writes fold_table.inc: what each code point becomes before it is hashed (docs/text.md).

    python3 base/text/make_fold_table.py > base/text/fold_table.inc

Needs Python's unicodedata at Unicode 14.0 (Python 3.11): another version would change hashes, so it is refused.
Changing the table starts a new sketch epoch.
"""
import sys
import unicodedata as ud

UNICODE = "14.0.0"
SPACE, WORD, PUNCT, IGNORE, BIGRAM = range(5)
FIRST_SEQUENCE = 8  # records below are classes of code points that stay as they are

# Marks that other letters are decorated with. Vowel signs of Indic scripts and the like are not among them.
COMBINING = [(0x0300, 0x036F), (0x0483, 0x0489), (0x0591, 0x05BD), (0x05BF, 0x05BF), (0x05C1, 0x05C2), (0x05C4, 0x05C5),
             (0x064B, 0x065F), (0x0670, 0x0670), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF), (0xFE20, 0xFE2F)]
# Default-ignorable code points that are not of category Cf.
IGNORED = [(0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x3164, 0x3164), (0xFE00, 0xFE0F),
           (0xFFA0, 0xFFA0), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)]
BLANK = [(0x2800, 0x2800), (0xD800, 0xDFFF), (0xFFF0, 0xFFFF)]
# Scripts written without blanks between words: Thai, Lao, Myanmar, Khmer, Kana, Bopomofo, Han.
NO_BLANKS = [(0x0E01, 0x0E4E), (0x0E81, 0x0EDF), (0x1000, 0x103F), (0x1050, 0x109F), (0x1780, 0x17DD), (0x2E80, 0x2FDF),
             (0x3005, 0x3007), (0x3021, 0x3029), (0x3038, 0x303B), (0x3041, 0x309F), (0x30A1, 0x30FA), (0x30FC, 0x30FF),
             (0x3100, 0x312F), (0x31A0, 0x31BF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA9E0, 0xA9FE),
             (0xAA60, 0xAA7F), (0xF900, 0xFAFF), (0x1AFF0, 0x1B16F), (0x20000, 0x3FFFD)]
# After case folding: a letter that passes for a Latin one in either case, and that Latin letter.
LOOKALIKES = {pair[0]: pair[1] for pair in (
    "аa вb еe кk мm нh оo рp сc тt уy хx іi јj ѕs ԁd ԛq ԝw һh ӏl "  # Cyrillic
    "αa βb εe ζz ηn ιi κk νv οo ρp τt υu χx γy ωw "                # Greek
    "ıi łl øo đd ħh ɑa ɡg ɩi ʀr "                                  # Latin with strokes, IPA
    "օo սu հh ոn ցg զq").split()}                                  # Armenian


def within(cp, ranges):
    return any(a <= cp <= b for a, b in ranges)


def class_of(cp):
    """The class of a code point that folding leaves as it is."""
    c, category = chr(cp), ud.category(chr(cp))
    if cp < 0x20 or 0x7F <= cp < 0xA0 or within(cp, BLANK) or category in ("Zs", "Zl", "Zp"):
        return SPACE
    if category == "Cf" or within(cp, IGNORED) or within(cp, COMBINING):
        return IGNORE
    if within(cp, NO_BLANKS) and category[0] in "LMN" or 0x20000 <= cp <= 0x3FFFD:
        return BIGRAM
    if c == "_" or category[0] in "LMN" or category == "Cn":
        return WORD
    return PUNCT


def fold(cp):
    """The code points that `cp` becomes."""
    if class_of(cp) in (SPACE, IGNORE) or ud.category(chr(cp)) in ("Cn", "Co"):
        return [cp]
    text = ud.normalize("NFKD", ud.normalize("NFKD", chr(cp)).casefold())
    text = "".join(c for c in text if not within(ord(c), COMBINING))
    text = ud.normalize("NFC", text)
    text = "".join("0" if ud.category(c) == "Nd" else LOOKALIKES.get(c, c) for c in text)
    return [ord(c) for c in text]


def main():
    if ud.unidata_version != UNICODE:
        sys.exit(f"make_fold_table: this Python has Unicode {ud.unidata_version}; the table is made with {UNICODE}")
    sequences, index, records = [], {}, []
    for cp in range(0x110000):
        folded = fold(cp)
        # Folding must be a fixed point, or a text would hash differently when folded before.
        while True:
            again = [d for c in folded for d in fold(c)]
            if again == folded:
                break
            folded = again
        if folded == [cp]:
            records.append(class_of(cp))
            continue
        key = tuple(folded)
        if key not in index:
            index[key] = len(sequences)
            sequences.append(key)
        records.append(FIRST_SEQUENCE + index[key])
    blocks, block_index, stage1 = [], {}, []
    for start in range(0, 0x110000, 128):
        block = tuple(records[start:start + 128])
        if block not in block_index:
            block_index[block] = len(blocks)
            blocks.append(block)
        stage1.append(block_index[block])
    while stage1[-1] == stage1[-2]:
        stage1.pop()  # planes above are as the last entry
    offsets, pool = [0], []
    for sequence in sequences:
        pool += sequence
        offsets.append(len(pool))

    def array(kind, name, values):
        print(f"inline constexpr {kind} {name}[{len(values)}] = {{")
        line = ""
        for value in values:
            item = f"{value},"
            if len(line) + len(item) > 118:
                print(line)
                line = ""
            line += item
        print(line + "};")

    print(f"// Made by make_fold_table.py from Unicode {UNICODE}. Do not edit.")
    array("uint16_t", "kFoldStage1", stage1)
    array("uint16_t", "kFoldStage2", [r for block in blocks for r in block])
    array("uint16_t", "kFoldOffsets", offsets)
    array("uint32_t", "kFoldPool", pool)


if __name__ == "__main__":
    main()
