#!/usr/bin/env bash
# Opens the pages of `ddpm-eval report` in Debian's Chromium, through its WebDriver, and checks what it shows: at 360 and
# 1440 px, in the light and in the dark. The pages and their screenshots stay in build/browser.
# Usage: tests/browser/run.sh PROGRAM
set -euo pipefail
export DDPM_EVAL_CACHE=off
cd "$(dirname "$0")/../.."
program=$(realpath "$1")
work=build/browser
driver=
session=

fail() {
  echo "test-browser: $*" >&2
  exit 1
}

# --- Pages -------------------------------------------------------------------------------------------------------------

# A grid of configs/ with fewer seeds, steps and samples.
make_grid() { # NAME SEEDS STEPS SAMPLES < grid
  mkdir -p "$work/configs"
  cp configs/*.toml "$work/configs/"
  sed -E "s/^seeds = .*/seeds = $2/; s/^steps = .*/steps = $3/; s/^num = .*/num = $4/; s/^(train\.log_every) = .*/\1 = 10/;
    /^train\.checkpoint_every/d; s/^(data = \"swiss-roll)\?num=1000/\1?num=200/" > "$work/configs/$1.toml"
  if [ ! -e "$work/$1/table.md" ]; then
    "$program" --quiet ablate --grid "$work/configs/$1.toml" --out "$work/$1" > "$work/$1.log" 2>&1 || fail "$1: see $work/$1.log"
  fi
}

make_history() {
  local night=0
  while [ $night -lt 20 ]; do
    jq -nc --argjson night $night --arg time "2026-11-$(printf %02d $((night + 1)))T02:00:00Z" '
      def series($name; $unit; $better; $at; $noise): {$name, $unit, $better, median: $at, low: ($at - $noise), high: ($at + $noise), n: 20};
      {schema: 1, $time, commit: "\($night)abcdef", context: {cpu: "Xeon", threads: 2, build: "Release"},
       series: [series("U-Net forward, batch 8"; "images/s"; "higher"; 24 + $night % 3; 0.8),
                series("Inception features"; "images/s"; "higher"; (if $night > 14 then 31 else 38 end) + $night % 2; 1.5),
                series("FID of the demo"; "FID"; "lower"; 4.6 - 0.01 * $night; 0.05)]}'
    night=$((night + 1))
  done > "$work/nights.jsonl"
}

make_pages() {
  mkdir -p "$work"
  make_grid points 3 300 1000 < configs/table2-swiss-roll.toml
  make_grid steps 2 300 500 < configs/sampler-by-steps.toml
  # A U-Net that a minute is enough for.
  sed -E 's/^\[set\]/[set]\nmodel.unet.base_channels = 8\nmodel.unet.multipliers = [1]\nmodel.unet.attention_resolutions = []\nprocess.steps = 10\nprocess.kind = "cosine"\ntrain.batch_size = 8\ntrain.log_every = 2/;
    s/^data = .*/data = "fashion-mnist:test?num=8"/' configs/table2-fashion-mnist.toml | make_grid images 1 20 64
  if [ ! -e "$work/run/run.json" ]; then
    "$program" --quiet train --config configs/swiss-roll.toml --set train.steps=1000 --set train.log_every=2 \
      --out "$work/run" > "$work/run.log" 2>&1 || fail "run: see $work/run.log"
    "$program" --quiet sample --run "$work/run" --num 1000 --out "$work/run/samples.npy" > /dev/null
    "$program" --quiet show reverse --run "$work/run" --num 500 --gif "$work/run/reverse.gif" > /dev/null
    "$program" --quiet nll --run "$work/run" --data 'swiss-roll?num=200&seed=2' --out "$work/run/nll" > /dev/null
  fi
  "$program" --quiet score --real 'fashion-mnist:test?first=0&num=100' --fake 'fashion-mnist:test?first=100&num=100' \
    --yardstick 'gaussian-noise:28x28x1?num=100&seed=1' --json "$work/score.json" > /dev/null 2>&1
  make_history
  # A grid under way.
  rm -rf "$work/part"
  cp -r "$work/points" "$work/part"
  rm "$work"/part/mu-mse/seed-?/record.json "$work/part/eps-simple/seed-2/record.json"
  echo '{"schema": 1, "code": 7, "message": "no space left", "attempts": 2}' > "$work/part/mu-mse/seed-0/failed.json"
}

# --- The browser -------------------------------------------------------------------------------------------------------

# A command of the WebDriver protocol; its value is printed.
call() { # METHOD PATH [BODY]
  curl -s -X "$1" "http://127.0.0.1:$port$2" -H 'Content-Type: application/json' ${3+--data-binary "$3"} > "$scratch/reply"
  jq -e '.value | if type == "object" and has("error") then error(.error + ": " + .message) else true end' \
    "$scratch/reply" > /dev/null || fail "WebDriver: $1 $2"
  jq '.value' "$scratch/reply"
}
devtools() { call POST "/session/$session/goog/cdp/execute" "{\"cmd\": \"$1\", \"params\": $2}"; }

start_browser() {
  scratch=$(mktemp -d)
  trap stop_browser EXIT
  chromedriver --port=0 > "$scratch/driver.log" 2>&1 &
  driver=$!
  for _ in $(seq 100); do
    port=$(sed -nE 's/.*started successfully on port ([0-9]+).*/\1/p' "$scratch/driver.log")
    [ -z "$port" ] || break
    sleep 0.1
  done
  [ -n "$port" ] || fail "chromedriver does not start: $(tail -n 1 "$scratch/driver.log")"
  local arguments='["--headless=new", "--disable-gpu", "--hide-scrollbars", "--force-color-profile=srgb", "--disable-background-networking"]'
  if [ "$(id -u)" -eq 0 ]; then
    arguments=$(jq -c '. + ["--no-sandbox"]' <<< "$arguments")
  fi
  session=$(call POST /session "{\"capabilities\": {\"alwaysMatch\": {\"browserName\": \"chrome\",
    \"goog:loggingPrefs\": {\"browser\": \"ALL\"}, \"goog:chromeOptions\": {\"args\": $arguments}}}}" | jq -r .sessionId)
}

stop_browser() {
  [ -z "$session" ] || curl -s -X DELETE "http://127.0.0.1:$port/session/$session" > /dev/null || true
  [ -z "$driver" ] || kill "$driver" 2> /dev/null || true
  rm -rf "$scratch"
}

# All that is wrong with a page, a sentence a line.
problems_of() { # FILE WIDTH SCHEME EXPECTED
  devtools Emulation.setDeviceMetricsOverride "{\"width\": $2, \"height\": 900, \"deviceScaleFactor\": 1, \"mobile\": false}" > /dev/null
  devtools Emulation.setEmulatedMedia "{\"features\": [{\"name\": \"prefers-color-scheme\", \"value\": \"$3\"}]}" > /dev/null
  call POST "/session/$session/se/log" '{"type": "browser"}' > /dev/null # of the page before
  call POST "/session/$session/url" "$(jq -n --arg url "file://$(realpath "$1")" '{$url}')" > /dev/null
  call POST "/session/$session/execute/sync" "$(jq -n --rawfile script tests/browser/check.js --argjson expected "$4" '{$script, args: [$expected]}')" |
    jq -r '.[]'
  call POST "/session/$session/se/log" '{"type": "browser"}' | jq -r '.[] | "console: " + .message'
}

screenshot() { # TARGET
  devtools Page.captureScreenshot '{"format": "png", "captureBeyondViewport": true}' | jq -r .data | base64 -d > "$1"
}

# --- Checks ------------------------------------------------------------------------------------------------------------

failures=0
check_page() { # NAME FILE EXPECTED
  local width scheme problems
  for width in 360 1440; do
    for scheme in light dark; do
      problems=$(problems_of "$2" $width $scheme "$3")
      screenshot "$work/$1-$width-$scheme.png"
      if [ -n "$problems" ]; then
        printf '%s, %s px, %s:\n%s\n' "$1" $width $scheme "$problems" >&2
        failures=$((failures + 1))
      fi
    done
  done
  printf '%s: %s bytes\n' "$2" "$(stat -c %s "$2")"
}

# A page with this put before the end of its body must be found at fault, in these words.
check_planted() { # WORDS MARKUP [EXPECTED]
  sed "s#</body>#$2</body>#" "$work/nights.html" > "$work/planted.html"
  grep -q "$1" <<< "$(problems_of "$work/planted.html" 360 light "${3:-{\}}")" || fail "a planted defect is not found: $1"
}

make_pages
for page in points part steps images run score.json nights.jsonl; do
  "$program" report "$work/$page" > /dev/null
done
start_browser
check_page points "$work/points/index.html" '{"rows": {"Every cell": 7, "Every job": 21, "What distinguishes the cells": 7}, "plots": 12}'
check_page part "$work/part/index.html" '{"rows": {"Every cell": 7, "Every job": 21}, "plots": 11}'
check_page steps "$work/steps/index.html" '{"rows": {"sliced Wasserstein ↓": 4, "energy distance ↓": 4, "Every job": 40}, "plots": 23}'
check_page images "$work/images/index.html" '{"rows": {"Every cell": 7, "Every job": 7}, "images": 7, "plots": 5}'
check_page run "$work/run/index.html" '{"rows": {"The bound and its parts, nats/dim": 4}, "images": 1, "plots": 5}'
check_page score "$work/score.html" '{"rows": {"Samples and yardsticks": 2}}'
check_page history "$work/nights.html" '{"rows": {"Each series where it stands": 3, "Every measurement, the latest first": 20}, "plots": 3}'

check_planted 'overflows' '<p style="width: 2000px">wide'
check_planted 'a picture is not shown' '<img alt="x" src="data:image/png;base64,AAAA">'
check_planted 'an id is there twice' '<p id="part-1">'
check_planted 'console: ' '<img alt="x" src="https://example.org/x.png">'
check_planted 'has a script' '<script>1</script>'
check_planted 'contrast' '<p style="color: \#bbb; background: \#fff">pale'
check_planted 'a link to' '<a href="\#nowhere">x</a>'
check_planted 'has 3 rows, not 4' '' '{"rows": {"Each series where it stands": 4}}'

[ $failures -eq 0 ] || fail "$failures of the views above are at fault"
echo "test-browser: 7 pages in 4 views each are as they should be; screenshots in $work"
