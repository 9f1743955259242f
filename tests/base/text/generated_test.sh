#!/bin/bash
# fold_table.inc and golden.txt equal what their scripts write. Skipped (77) under another Unicode version.
set -euo pipefail
python=$1
root=$(cd "$(dirname "$0")/../../.." && pwd)
if [ "$("$python" -c 'import unicodedata; print(unicodedata.unidata_version)')" != 14.0.0 ]; then
  echo "skipped: Python's Unicode is not 14.0.0"
  exit 77
fi
cmp <("$python" "$root/base/text/make_fold_table.py") "$root/base/text/fold_table.inc"
cmp <("$python" "$root/tests/base/text/golden.py") "$root/tests/base/text/golden.txt"
