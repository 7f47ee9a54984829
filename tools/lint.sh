#!/usr/bin/env bash
# Checks the formatting of every source file and runs clang-tidy over the sources of the rooms.
# Usage: tools/lint.sh BUILD_FOLDER   (a configured one, for its compile_commands.json)
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1

mapfile -t files < <(git ls-files -- '*.h' '*.cpp')
clang-format --dry-run -Werror "${files[@]}"

# Clang cannot read GCC's precompiled header, so the commands it sees must not name it.
tidy_db=$(mktemp -d)
trap 'rm -rf "$tidy_db"' EXIT
sed -E 's# -include [^ ]*cmake_pch\.hxx##g; s# -fpch-preprocess##g; s# -Winvalid-pch##g' \
  "$build/compile_commands.json" > "$tidy_db/compile_commands.json"
mapfile -t sources < <(git ls-files -- 'base/core/*.cpp' 'eval/*.cpp' 'base/data/*.cpp' 'base/tensor/*.cpp' \
  'base/training/*.cpp' 'ddpm/*.cpp' 'metrics/*.cpp')
printf '%s\0' "${sources[@]}" |
  xargs -0 -n 4 -P "$(nproc)" clang-tidy --quiet -p "$tidy_db" 2> >(grep -v 'warnings generated' >&2)
echo "lint: ${#files[@]} files formatted, ${#sources[@]} files checked by clang-tidy"
