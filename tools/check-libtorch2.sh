#!/usr/bin/env bash
# Builds against LibTorch 2 with CUDA and runs the tests, from nothing but a Debian machine: PyPI's torch wheel and, where
# no CUDA 13 compiler is on the path, NVIDIA's wheels of one. Tests that need a card are skipped where there is none.
# Usage: tools/check-libtorch2.sh [TEST_REGEX]       TORCH_CUDA_ARCH_LIST (default 9.0) names the chips; JOBS the processes.
set -euo pipefail
cd "$(dirname "$0")/.."

torch=2.11.0
venv=build/torch2
build=build/libtorch2

tools/install-deps.sh
tools/install-deps.sh libtorch2
if ! "$venv/bin/python" -c "import torch; assert torch.__version__.split('+')[0] == '$torch'" 2>/dev/null; then
  python3 -m venv --clear "$venv"
  "$venv/bin/pip" install -q "torch==$torch" numpy
fi
packages=$("$venv/bin/python" -c 'import torch, os; print(os.path.dirname(os.path.dirname(torch.__file__)))')

toolkit=()
nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2> /dev/null || true)
if [[ -z $nvcc || $("$nvcc" --version) != *'release 13.'* ]]; then
  # The libraries of the wheels have no names without a version, which linkers ask for.
  "$venv/bin/pip" install -q 'nvidia-cuda-nvcc==13.0.*' 'nvidia-cuda-crt==13.0.*' 'nvidia-nvvm==13.0.*' \
    'nvidia-cuda-cccl==13.0.*'
  root=$packages/nvidia/cu13
  nvcc=$root/bin/nvcc
  for library in "$root"/lib/lib*.so.*; do
    [ -e "$library" ] || continue
    ln -sf "$(basename "$library")" "${library%%.so.*}.so"
  done
  ln -sfn lib "$root/lib64"
  toolkit=("-DCUDAToolkit_ROOT=$root" "-DCUDA_TOOLKIT_ROOT_DIR=$root")
fi

cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DDDPM_EVAL_BUILD_BENCH=OFF \
  -DTORCH_CUDA_ARCH_LIST="${TORCH_CUDA_ARCH_LIST:-9.0}" -DCMAKE_CUDA_COMPILER="$nvcc" "${toolkit[@]}" \
  -DCMAKE_PREFIX_PATH="$packages/torch"
cmake --build "$build" -j "${JOBS:-$(nproc)}" --target ddpm-eval all_tests
ctest --test-dir "$build" -j "${JOBS:-$(nproc)}" --output-on-failure -L fast -R "${1:-.}"
