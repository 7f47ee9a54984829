#!/usr/bin/env bash
# Makes build/peers: a Python environment with pytorch-fid, torch-fidelity and clean-fid of requirements.txt over Debian's
# PyTorch, which is built on the same LibTorch as ddpm-eval. Does nothing when all is there.
set -euo pipefail
cd "$(dirname "$0")/../.."

# The BLAS is the one of ddpm-eval (tools/install-deps.sh): Debian's fallback for NumPy and SciPy is 15 times slower.
packages=(python3-torch python3-torchvision python3-scipy python3-numpy python3-pil python3-tqdm python3-requests
          python3-venv libopenblas0-openmp)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  sudo=()
  [ "$(id -u)" -eq 0 ] || sudo=(sudo)
  export DEBIAN_FRONTEND=noninteractive
  "${sudo[@]}" apt-get update -q >&2
  "${sudo[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}" >&2
fi

for link in /etc/alternatives/libblas.so.3-* /etc/alternatives/liblapack.so.3-*; do
  case $(readlink -f "$link") in
    *openblas*) ;;
    *) echo "$link leads to $(readlink -f "$link"), not OpenBLAS: no fair race; see update-alternatives --config $(basename "$link")" >&2
       exit 1 ;;
  esac
done

# Debian's interpreter, whichever comes first in PATH: only that one has Debian's modules.
wanted=bench/peers/requirements.txt
if ! cmp -s "$wanted" build/peers/requirements.txt; then
  /usr/bin/python3 -m venv --clear --system-site-packages build/peers
  build/peers/bin/pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes --no-deps -r "$wanted" >&2
  cp "$wanted" build/peers/requirements.txt
fi
build/peers/bin/python bench/peers/probe.py
