#!/usr/bin/env bash
# Trains vgg19-slim from nothing. The same call goes on from the last checkpoint.
#
#   models/vgg19-slim/train.sh DATA RUN
#
# DATA holds images/train_content and images/train_style (photographs and paintings, short side 256), and
# weights/vgg19_caffe_to_relu3_4.safetensors and weights/vgg19_collaborative_distilled_16x.safetensors.
set -euo pipefail
data=$1 run=$2
velatura distill \
  --contents "$data/images/train_content" \
  --styles "$data/images/train_style" \
  --teacher "$data/weights/vgg19_caffe_to_relu3_4.safetensors" \
  --teacher "$data/weights/vgg19_collaborative_distilled_16x.safetensors" \
  --set steps="${STEPS:-7400}" --set cooldown="${COOLDOWN:-2500}" \
  -o "$run"
