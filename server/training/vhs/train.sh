#!/bin/sh
# All landmark networks from nothing to the server's folder; stopped at any time, the same command goes on.
#   train.sh PYTHON OUTPUT [OWN]     OWN: a CSV or a folder in the six-point format, instead of synthetic radiographs
set -eu
python=$1 output=$2 own=${3:-}
export PYTHONPATH=server/training:server OMP_NUM_THREADS=1
mkdir -p "$output"
if [ -n "$own" ]; then
    source="--marked $own" # the folds start from the weights that the server has
else
    "$python" -m vhs.dataset "$output/maps" --count 6000
    source="--maps $output/maps"
    # shellcheck disable=SC2086
    "$python" -m vhs base --output "$output" $source --minutes "${BASE_MINUTES:-62}"
fi
for fold in 0 1 2 3 4; do
    # shellcheck disable=SC2086
    "$python" -m vhs fold --fold $fold --output "$output" $source --minutes "${FOLD_MINUTES:-5}"
done
if [ -z "$own" ]; then
    "$python" -m vhs.orientation --maps "$output/maps" --output "$output/vhs_orientation.safetensors" --minutes "${ORIENTATION_MINUTES:-10}"
fi
"$python" -m vhs export --output "$output"
