#!/usr/bin/env bash
# Trains adain-slim from nothing. The same call goes on from the last checkpoint.
#
#   models/adain-slim/train.sh DATA RUN
#
# DATA holds images/train_content and images/train_style: photographs and paintings, short side 256.
set -euo pipefail
data=$1 run=$2
resume=(); if [ -e "$run/checkpoint.safetensors" ]; then resume=(--resume); fi
velatura train adain-slim \
  --content "$data/images/train_content" \
  --styles "$data/images/train_style" \
  --threads 2 "${resume[@]}" -o "$run"
python "$(dirname "$0")/../ship.py" "$run" "$run/adain-slim.safetensors"
