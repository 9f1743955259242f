#!/usr/bin/env bash
# stix_validator_test.sh PYTHON SAMPLE VENV: OASIS's own validator (tests' only use of the package registry) takes our bundle,
# and refuses it with a reference broken: so it looks.
set -euo pipefail
python=$1 sample=$2 venv=$3
here=$(cd "$(dirname "$0")" && pwd)
if ! { [ -x "$venv/bin/stix2_validator" ] || { "$python" -m venv "$venv" && "$venv/bin/pip" install -q -r "$here/stix-requirements.txt"; }; } 2>"$venv.log"; then
  tail -3 "$venv.log"
  echo "SKIPPED: the validator could not be installed; is there a package registry?"
  exit 77
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$sample" >"$out/bundle.json"
"$venv/bin/stix2_validator" --version 2.1 "$out/bundle.json"
sed 's/"first_seen": "20/"first_seen": "the year 20/' "$out/bundle.json" >"$out/broken.json"
! cmp -s "$out/bundle.json" "$out/broken.json"
if "$venv/bin/stix2_validator" --version 2.1 "$out/broken.json" >/dev/null; then
  echo "a broken bundle was taken"
  exit 1
fi
