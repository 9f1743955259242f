#!/usr/bin/env python3
"""Registers, stack, spills and shared memory of every kernel, as ptxas -v said when the build compiled it.

    ptxas_table.py --write DIR    writes ptxas_table.txt from DIR/kernels_ARCH.cubin.log
    ptxas_table.py --check DIR    exit 1 when a kernel spills, has a stack, uses more registers than the table
                                  says, other shared memory, or stands in one of the two only
"""
import pathlib
import re
import sys

TABLE = pathlib.Path(__file__).with_name("ptxas_table.txt")
ARCHS = ("80", "90", "90a", "100")
HEAD = "# kernel arch registers stack spill_stores spill_loads shared_bytes (tests/ptx/ptxas_table.py --write)\n"


def measured(folder):
    rows = {}
    for arch in ARCHS:
        log = (pathlib.Path(folder) / f"kernels_{arch}.cubin.log").read_text()
        found = re.findall(
            r"Compiling entry function '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill "
            r"loads.*?Used (\d+) registers([^\n]*)", log, re.S)
        for name, stack, stores, loads, registers, rest in found:
            shared = re.search(r"(\d+) bytes smem", rest)
            rows[name, arch] = [int(registers), int(stack), int(stores), int(loads), int(shared[1]) if shared else 0]
    return rows


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("--write", "--check"):
        print(__doc__, file=sys.stderr)
        return 64
    rows = measured(sys.argv[2])
    if sys.argv[1] == "--write":
        TABLE.write_text(HEAD + "".join(f"{n} {a} {' '.join(map(str, v))}\n" for (n, a), v in sorted(rows.items())))
        return 0
    table = {}
    for line in TABLE.read_text().splitlines():
        if line and not line.startswith("#"):
            name, arch, *values = line.split()
            table[name, arch] = [int(v) for v in values]
    faults = [f"{n} for sm_{a}: only in {'the table' if (n, a) in table else 'the build'}"
              for n, a in sorted(table.keys() ^ rows.keys())]
    for key in sorted(table.keys() & rows.keys()):
        registers, stack, stores, loads, shared = rows[key]
        where = f"{key[0]} for sm_{key[1]}"
        if stack or stores or loads:
            faults.append(f"{where}: {stack} bytes of stack, {stores} and {loads} spilled")
        if registers > table[key][0]:
            faults.append(f"{where}: {registers} registers, the table says {table[key][0]}")
        if shared != table[key][4]:
            faults.append(f"{where}: {shared} bytes of shared memory, the table says {table[key][4]}")
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(rows)} kernels, {len(faults)} faults")
    return 1 if faults or not rows else 0


sys.exit(main())
