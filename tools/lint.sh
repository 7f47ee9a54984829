#!/usr/bin/env bash
# Checks the formatting of every source file and runs clang-tidy over the sources of the rooms.
# Usage: tools/lint.sh BUILD_FOLDER   (a configured one, for its compile_commands.json)
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1

mapfile -t files < <(git ls-files -- '*.h' '*.cpp')
clang-format --dry-run -Werror "${files[@]}"

# Clang cannot read GCC's precompiled header: it gets one of its own, made with the flags of the target that carries it.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed -E "s# -include [^ ]*cmake_pch\.hxx# -include-pch $work/lint.pch#g; s# -fpch-preprocess##g; s# -Winvalid-pch##g; s# -fopenmp##g" \
  "$build/compile_commands.json" > "$work/compile_commands.json"
flags=$(grep -E '"command":.*/pch\.cpp"' "$work/compile_commands.json" | head -n 1 |
  sed -E 's#^ *"command": "[^ ]+ ##; s# -include-pch [^ ]*##; s# -o .*##; s#\\"#"#g')
# shellcheck disable=SC2086  # the flags are words
clang++-14 $flags -x c++-header tools/lint/clang_pch.h -o "$work/lint.pch"

mapfile -t sources < <(git ls-files -- 'base/*.cpp' 'ddpm/*.cpp' 'metrics/*.cpp' 'eval/*.cpp')
if ! printf '%s\0' "${sources[@]}" | xargs -0 -n 4 -P "$(nproc)" clang-tidy-14 --quiet -p "$work" > "$work/findings" 2> "$work/log"; then
  cat "$work/findings"
  grep -v 'warnings generated' "$work/log" | head -n 20 >&2 || true
  exit 1
fi
echo "lint: ${#files[@]} files formatted, ${#sources[@]} files checked by clang-tidy"
