#!/usr/bin/env bash
# training/run.sh CORPUS [PRESET] [SECONDS] [options of train.py]: makes vocabulary and tokens, trains, exports and
# evaluates. Run it again to resume.
set -euo pipefail
corpus=$(realpath "$1") preset=${2:-small-cpu} seconds=${3:-5500}
shift $(( $# < 3 ? $# : 3 ))
here=$(cd "$(dirname "$0")" && pwd)
work="$here/.work"
mkdir -p "$work"
cd "$here"
[ -e "$work/train.u16" ] || python3 data.py --corpus "$corpus" --work "$work"
python3 train.py --work "$work" --preset "$preset" --seconds "$seconds" --budget-file "$work/budget" "$@"
python3 export.py --work "$work" --out "$here/../public/models/builtin.gguf"
python3 evaluate.py --work "$work" --picture "$here/loss.png" | tee "$work/evaluation.txt"
