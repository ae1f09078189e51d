#!/usr/bin/env bash
# Trains cin-samples from nothing. The same call goes on from the last checkpoint.
#
#   models/cin-samples/train.sh DATA RUN
#
# DATA holds images/train_content: photographs, short side 256. The paintings are drawn.
set -euo pipefail
data=$1 run=$2
resume=(); if [ -e "$run/checkpoint.safetensors" ]; then resume=(--resume); fi
velatura samples "$run-samples"
styles=()
for name in flowing-strokes hatching mosaic pointillism stained-glass watercolour woodcut-waves; do
  styles+=(--styles "$run-samples/$name.png")
done
velatura train cin-samples \
  --content "$data/images/train_content" "${styles[@]}" \
  --threads 1 "${resume[@]}" -o "$run"
python "$(dirname "$0")/../ship.py" "$run" "$run/cin-samples.safetensors"
