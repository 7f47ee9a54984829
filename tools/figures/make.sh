#!/usr/bin/env bash
# Draws the manual's figures (docs/images/*.svg) from the program's own output: the tables of its schedules, and a run of
# configs/swiss-roll.toml that is trained unless it is there. Needs gnuplot (Debian: gnuplot-nox).
# Usage: tools/figures/make.sh [BUILD_FOLDER [RUN_FOLDER]]; build/release and runs/figures/swiss-roll otherwise.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:-build/release}
run=${2:-runs/figures/swiss-roll}
program=$build/bin/ddpm-eval
command -v gnuplot > /dev/null || { echo 'figures: gnuplot is not installed (Debian: gnuplot-nox)' >&2; exit 7; }
cmake --build "$build" --target schedule_table ddpm-eval > /dev/null
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p docs/images

for kind in linear quad sigmoid cosine const warmup10 warmup50 jsd; do
  "$build/bin/schedule_table" "$kind" 1000 > "$work/$kind.txt"
done
if [ ! -e "$run/run.json" ]; then
  "$program" train --config configs/swiss-roll.toml --out "$run" --resume
fi

# One number of a record, by its key.
number() { sed -nE "s/^ *\"$1\": ([-0-9.e]+),?$/\1/p" "$2" | head -n 1; }

real='swiss-roll?num=2000&seed=100'
for steps in 2 3 5 10 20 50 100; do
  row=$steps
  for query in sampler=ancestral 'sampler=ancestral&variance=fixedlarge' sampler=ddim 'sampler=dpm-solver++&spacing=trailing'; do
    "$program" --quiet score --real "$real" --fake "run:$run?num=2000&steps=$steps&$query" --json "$work/score.json" > /dev/null
    row+=" $(number sliced_wasserstein_distance "$work/score.json")"
  done
  echo "$row"
done > "$work/samplers.txt"
floor=$(sed -n '/"floor"/,$p' "$work/score.json" > "$work/floor.json" && number sliced_wasserstein_distance "$work/floor.json")
"$program" --quiet nll --run "$run" --data 'swiss-roll?num=2000&seed=100' --out "$work/nll" > /dev/null
tail -n +2 "$work/nll/curve.csv" | tr ',' ' ' > "$work/curve.txt"

plot() { (cat tools/figures/style.gp; cat) | gnuplot -e "work='$work'; floor=$floor; target='docs/images/$1.svg'" -; }

plot schedules << 'END'
set output target
set multiplot layout 1,2
set xlabel "t / T"
set xrange [0:1]
set ylabel "alpha\\_bar"
set yrange [0:1]
set key top right
plot for [kind in kinds] work.'/'.kind.'.txt' using 1:2 every 5 with lines title kind
set ylabel "SNR"
set logscale y
set yrange [1e-9:1e5]
set format y "10^{%L}"
unset key
plot for [kind in kinds] work.'/'.kind.'.txt' using 1:3 every 5 with lines
unset multiplot
END

plot objectives << 'END'
set output target
set xlabel "t / T"
set xrange [0:1]
set logscale y
set format y "10^{%L}"
set yrange [1e-5:1e5]
set ylabel "per unit of the squared error of eps"
set key outside right
file = work.'/linear.txt'
plot file using 1:(1) with lines title "simple, eps", \
     file using 1:8 every 2 with lines title "simple, v", \
     file using 1:7 every 2 with lines title "simple, x\\_0", \
     file using 1:6 every 2 with lines title "simple, mu", \
     file using 1:5 with lines title "bound, fixedlarge", \
     file using 1:4 with lines dashtype 2 title "bound, fixedsmall"
END

plot samplers << 'END'
set output target
set xlabel "steps, of 100"
set logscale xy
set xtics (2, 3, 5, 10, 20, 50, 100)
set xrange [1.8:110]
set ylabel "sliced Wasserstein distance"
set key outside right
file = work.'/samplers.txt'
plot file using 1:2 with linespoints title "ancestral, fixedsmall", \
     file using 1:3 with linespoints title "ancestral, fixedlarge", \
     file using 1:4 with linespoints title "ddim, eta 0", \
     file using 1:5 with linespoints title "dpm-solver++, trailing", \
     floor with lines dashtype 2 linecolor "black" title "floor: real against real"
END

plot likelihood << 'END'
set output target
set multiplot layout 1,2
set xlabel "t, of 100"
set ylabel "L_{t-1}, nats/dim"
set xrange [0:100]
unset key
set logscale y
set format y "10^{%L}"
plot work.'/curve.txt' every ::1 using 1:3 with lines
unset logscale y
set format y "%g"
set ylabel "squared error of x_0"
plot work.'/curve.txt' using 1:5 with lines
unset multiplot
END
cat "$work/samplers.txt"
