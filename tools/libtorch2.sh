# LibTorch 2 with CUDA out of PyPI's wheels, for scripts of this folder, which source it from the root of the checkout: once in
# build/torch2, with NVIDIA's wheels of a compiler where there is no nvcc 13. Sets libtorch2 (the folder of LibTorch) and
# libtorch2_flags (what CMake is told of the compiler). With LIBTORCH2_OWN_NVCC the wheels' compiler is taken in any case.

torch_version=2.11.0
venv=build/torch2

tools/install-deps.sh libtorch2
if ! "$venv/bin/python" -c "import torch; assert torch.__version__.split('+')[0] == '$torch_version'" 2>/dev/null; then
  python3 -m venv --clear "$venv"
  "$venv/bin/pip" install -q "torch==$torch_version" numpy
fi
libtorch2=$("$venv/bin/python" -c 'import torch, os; print(os.path.dirname(torch.__file__))')

libtorch2_flags=()
nvcc=
if [ -z "${LIBTORCH2_OWN_NVCC:-}" ]; then
  nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2> /dev/null || true)
fi
if [[ -z $nvcc || $("$nvcc" --version) != *'release 13.'* ]]; then
  # The libraries of the wheels have no names without a version, which linkers ask for.
  "$venv/bin/pip" install -q 'nvidia-cuda-nvcc==13.0.*' 'nvidia-cuda-crt==13.0.*' 'nvidia-nvvm==13.0.*' \
    'nvidia-cuda-cccl==13.0.*'
  toolkit=$(dirname "$libtorch2")/nvidia/cu13
  nvcc=$toolkit/bin/nvcc
  for library in "$toolkit"/lib/lib*.so.*; do
    [ -e "$library" ] || continue
    ln -sf "$(basename "$library")" "${library%%.so.*}.so"
  done
  ln -sfn lib "$toolkit/lib64"
  libtorch2_flags=("-DCUDAToolkit_ROOT=$toolkit" "-DCUDA_TOOLKIT_ROOT_DIR=$toolkit")
fi
libtorch2_flags+=("-DTORCH_CUDA_ARCH_LIST=${TORCH_CUDA_ARCH_LIST:-9.0}" "-DCMAKE_CUDA_COMPILER=$nvcc")
