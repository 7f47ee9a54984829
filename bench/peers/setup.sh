#!/usr/bin/env bash
# Makes build/peers: a Python environment with Debian's PyTorch, which is built on the same LibTorch as ddpm-eval.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! dpkg-query -W -f '${Status}' python3-torch 2>/dev/null | grep -q 'ok installed'; then
  sudo=()
  [ "$(id -u)" -eq 0 ] || sudo=(sudo)
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -q -y --no-install-recommends python3-torch >&2
fi
# Without pip, which this environment does not need: Debian's own modules are seen through it.
/usr/bin/python3 -m venv --without-pip --system-site-packages build/peers
build/peers/bin/python -c 'import torch; print("PyTorch", torch.__version__)'
