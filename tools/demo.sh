#!/usr/bin/env bash
# Trains a small DDPM on Fashion-MNIST, samples from it, scores the samples beside two yardsticks and shows it all.
# Usage: tools/demo.sh PROGRAM RUN_FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
program=$1
run=$2

# The reference and the real yardstick are two halves of the test set: neither the DDPM nor the feature network, which
# both learnt from the training set, has seen them, and they share no image. Every score is over the same counts.
reference='fashion-mnist:test?first=0&num=5000'
real='fashion-mnist:test?first=5000&num=2000'
noise='gaussian-noise:28x28x1?num=2000&seed=1'

say() { printf '\n== %s\n' "$1" >&2; }

say 'Training on Fashion-MNIST (about five minutes on two cores)'
resume=()
if [ -e "$run/checkpoint.safetensors" ]; then
  resume=(--resume)
fi
"$program" train --config configs/fashion-mnist-small.toml --out "$run" "${resume[@]}"

say 'Sampling 2,000 images from the averaged weights'
"$program" sample --run "$run" --num 2000 --out "$run/samples.npz" --grid "$run/grid.png" --json "$run/samples.json"

say 'Scoring'
"$program" score --real "$reference" --fake "$run/samples.npz" --yardstick "$real" --yardstick "$noise" \
  --json "$run/score.json"

page=$("$program" report "$run")
printf '\nEverything is in %s: %s, grid.png, score.json, log.jsonl, checkpoint.safetensors\n' "$run" "$(basename "$page")"
