#!/usr/bin/env bash
# Builds against LibTorch 2 with CUDA and runs the tests, from nothing but a Debian machine: PyPI's torch wheel and, where
# no CUDA 13 compiler is on the path, NVIDIA's wheels of one. Tests that need a card are skipped where there is none.
# Usage: tools/check-libtorch2.sh [TEST_REGEX]       TORCH_CUDA_ARCH_LIST (default 9.0) names the chips; JOBS the processes.
set -euo pipefail
cd "$(dirname "$0")/.."

build=build/libtorch2

tools/install-deps.sh
. tools/libtorch2.sh
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DDDPM_EVAL_BUILD_BENCH=OFF "${libtorch2_flags[@]}" \
  -DCMAKE_PREFIX_PATH="$libtorch2"
cmake --build "$build" -j "${JOBS:-$(nproc)}" --target ddpm-eval all_tests
ctest --test-dir "$build" -j "${JOBS:-$(nproc)}" --output-on-failure -L fast -R "${1:-.}"
