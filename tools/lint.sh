#!/usr/bin/env bash
# Checks the formatting of every source file and runs clang-tidy over the rooms.
#
# clang-tidy walks through all of LibTorch's headers for every translation unit, so a room is checked as one: CMake's
# unity build joins its sources. Names in unnamed namespaces must therefore differ within a room.
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -t files < <(git ls-files -- '*.h' '*.cpp' '*.cu' '*.cuh')
clang-format --dry-run -Werror "${files[@]}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake -S . -B "$work/unity" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF -DDDPM_EVAL_BUILD_BENCH=OFF \
  -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=0 > /dev/null

# Clang cannot read GCC's precompiled header: it gets one of its own, made with the flags of the target that carries it.
sed -E "s# -include [^ ]*cmake_pch\.hxx# -include-pch $work/lint.pch#g; s# -fpch-preprocess##g; s# -Winvalid-pch##g; s# -fopenmp##g" \
  "$work/unity/compile_commands.json" > "$work/compile_commands.json"
flags=$(grep -E '"command":.*ddpm_eval_pch\.dir/Unity/unity_0' "$work/compile_commands.json" | head -n 1 |
  sed -E 's#^ *"command": "[^ ]+ ##; s# -include-pch [^ ]*##; s# -o .*##; s#\\"#"#g')
# shellcheck disable=SC2086  # the flags are words
clang++-14 $flags -x c++-header tools/lint/clang_pch.h -o "$work/lint.pch"

mapfile -t sources < <(sed -nE 's/^ *"file": "([^"]*)".*/\1/p' "$work/compile_commands.json" | grep -v ddpm_eval_pch)
if ! printf '%s\0' "${sources[@]}" | xargs -0 -n 1 -P "$(nproc)" clang-tidy-14 --quiet --config-file=.clang-tidy -p "$work" > "$work/findings" 2> "$work/log"; then
  cat "$work/findings"
  grep -v 'warnings generated' "$work/log" | head -n 20 >&2 || true
  exit 1
fi
echo "lint: ${#files[@]} files formatted, ${#sources[@]} translation units checked by clang-tidy"
