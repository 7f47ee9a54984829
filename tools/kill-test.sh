#!/usr/bin/env bash
# Kills training, sampling and likelihood evaluations (SIGKILL) at random moments, goes on with each until it is done,
# and compares every file with those of an unbroken run, byte by byte but for timings. Two runs: points of a swiss roll
# by a small network, and Fashion-MNIST by a tiny U-Net.
# Usage: tools/kill-test.sh PROGRAM [--training N] [--sampling N] [--likelihood N] [--seed S] [--keep]
# Kills so many times each (20, 10 and 4), at moments drawn from the seed (1). --keep leaves the files behind.
# Exit status: 0 all equal, 1 a difference or a failure, 2 usage.
set -euo pipefail

usage() {
  echo "kill-test: $1; see the head of tools/kill-test.sh" >&2
  exit 2
}

[ $# -ge 1 ] || usage 'which program?'
program=$(realpath -- "$1")
shift
if [ ! -x "$program" ] || [ -d "$program" ]; then usage "$program is no program"; fi
declare -A kills=([training]=20 [sampling]=10 [likelihood]=4)
seed=1
keep=0
while [ $# -gt 0 ]; do
  case $1 in
    --training | --sampling | --likelihood | --seed)
      [[ ${2-} =~ ^[0-9]{1,4}$ ]] || usage "$1 takes a number from 0 to 9999, not '${2-}'"
      if [ "$1" = --seed ]; then seed=$2; else kills[${1#--}]=$((10#$2)); fi
      shift 2
      ;;
    --keep) keep=1; shift ;;
    *) usage "unknown option '$1'" ;;
  esac
done

cd "$(dirname "$0")/.."
RANDOM=$((10#$seed))
work=$(mktemp -d "${TMPDIR:-/tmp}/ddpm-eval-kill-test-XXXXXX")
child=
clean_up() {
  if [ -n "$child" ]; then kill -9 "$child" 2> /dev/null || true; fi
  if [ "$keep" = 0 ]; then rm -rf "$work"; else echo "files are in $work" >&2; fi
}
trap clean_up EXIT
trap 'exit 130' INT TERM
export SOURCE_DATE_EPOCH=0  # the same date in every record

# The jobs: `job NAME FOLDER` sets `command`, which writes into FOLDER and goes on there when repeated.
roll=(--config configs/swiss-roll.toml --set train.steps=800 --set train.checkpoint_every=60
  --set train.log_every=25)
clothes=(--config configs/fashion-mnist-small.toml --set model.unet.base_channels=8 --set 'model.unet.multipliers=[1,2]'
  --set 'model.unet.attention_resolutions=[14]' --set model.unet.dropout=0.1 --set process.steps=40 --set process.rescale=true
  --set train.steps=60 --set train.batch_size=8 --set train.warmup_steps=5 --set train.log_every=4
  --set train.checkpoint_every=7 --set train.grid_every=20 --set train.grid_samples=4
  --set sample.steps=5 --set sample.micro_batch=4)
job() {
  case $1 in
    train-roll) command=(train "${roll[@]}" --out "$2" --resume) ;;
    train-clothes) command=(train "${clothes[@]}" --out "$2" --resume) ;;
    sample-roll) command=(sample --run "$work/whole/train-roll" --num 8000 --out "$2/points.npy") ;;
    sample-clothes) command=(sample --run "$work/whole/train-clothes" --num 200 --out "$2/pngs" --grid "$2/grid.png") ;;
    sample-clothes-npz) command=(sample --run "$work/whole/train-clothes" --num 200 --out "$2/images.npz") ;;
    nll-roll) command=(nll --run "$work/whole/train-roll" --data 'swiss-roll?num=400&seed=5' --out "$2") ;;
    nll-clothes) command=(nll --run "$work/whole/train-clothes" --data 'fashion-mnist:test?num=60' --out "$2") ;;
  esac
}

launch() { "$program" --quiet --threads 1 "${command[@]}" > /dev/null 2> "$work/errors" & child=$!; }

# What a run is judged by: every file but run.json, which holds timings only beside what the checkpoint holds; timings cut.
contents() {
  (cd "$1" && find . -type f ! -name run.json ! -name .lock | LC_ALL=C sort | while read -r file; do
    case $file in
      *.jsonl) printf '%s %s\n' "$(sed 's/,"images_per_second".*//' "$file" | sha256sum | cut -c1-64)" "$file" ;;
      *nll.json) printf '%s %s\n' "$(grep -v '"seconds"' "$file" | sha256sum | cut -c1-64)" "$file" ;;
      *) sha256sum "$file" ;;
    esac
  done)
}

seconds() { awk -v from="$1" -v to="$(date +%s.%N)" 'BEGIN { print to - from }'; }

failures=0
fail() {
  failures=$((failures + 1))
  printf 'DIFFERENCE: %s\n' "$1"
}

# Goes on with a job, killed at most `left` times, until it is done; sets `killed`.
killed=0
run_through() {
  local left=$1 longest=$2 pause status
  killed=0
  while true; do
    launch
    if [ "$left" -gt 0 ]; then
      pause=$(awk -v r=$RANDOM -v longest="$longest" 'BEGIN { printf "%.3f", longest * r / 32768 }')
      sleep "$pause"
      kill -9 "$child" 2> /dev/null || true  # it may have finished
    fi
    status=0
    wait "$child" 2> /dev/null || status=$?
    child=
    case $status in
      0) return 0 ;;
      137) killed=$((killed + 1)); left=$((left - 1)) ;;
      *) cat "$work/errors" >&2; return 1 ;;
    esac
  done
}

# Kills jobs of a kind, five times a run at most, until the kind's share is used up.
declare -A duration
total=0
torture() {
  local left=${kills[$1]} turn=0 names=("${@:2}") name folder share
  while [ "$left" -gt 0 ]; do
    name=${names[turn % ${#names[@]}]}
    turn=$((turn + 1))
    folder=$work/broken/$name-$turn
    mkdir -p "$folder"
    job "$name" "$folder"
    share=$((left < 5 ? left : 5))
    run_through "$share" "${duration[$name]}" || { fail "$name: did not go on"; return 0; }
    left=$((left - killed))
    contents "$folder" > "$work/found"
    if diff "$work/$name.expected" "$work/found" > "$work/diff"; then
      printf '%-20s killed %d times: the same bytes in %d files\n' "$name" "$killed" "$(wc -l < "$work/found")"
      rm -rf "$folder"
    else
      fail "$name, killed $killed times; expected < and found >:"
      cat "$work/diff"
    fi
    total=$((total + killed))
  done
}

whole() {
  local name start
  for name in "$@"; do
    mkdir -p "$work/whole/$name"
    job "$name" "$work/whole/$name"
    start=$(date +%s.%N)
    run_through 0 0 || { fail "$name: the unbroken run failed"; exit 1; }
    duration[$name]=$(seconds "$start")
    contents "$work/whole/$name" > "$work/$name.expected"
    printf '%-20s unbroken: %5.1f s, %d files\n' "$name" "${duration[$name]}" "$(wc -l < "$work/$name.expected")"
  done
}

whole train-roll train-clothes
whole sample-roll sample-clothes sample-clothes-npz nll-roll nll-clothes
torture training train-roll train-clothes
torture sampling sample-clothes sample-roll sample-clothes-npz
torture likelihood nll-roll nll-clothes
printf '%d kills, %d differences\n' "$total" "$failures"
[ "$failures" -eq 0 ]
