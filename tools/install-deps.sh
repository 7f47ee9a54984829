#!/usr/bin/env bash
# Installs what ddpm-eval needs to build, run and test, from Debian 12's own packages. Does nothing when all is there.
# Usage: tools/install-deps.sh [browser | bundle | libtorch2]; with a word, what `make test-browser`, tools/make-deps-bundle.sh or
# tools/check-libtorch2.sh needs instead.
set -euo pipefail

packages=(
  g++ make cmake ninja-build ccache git ca-certificates python3 python3-jsonschema
  libtorch-dev libgloo-dev libdnnl-dev libopenblas-openmp-dev liblapacke-dev libeigen3-dev libopencv-dev
  libfmt-dev libcli11-dev libtomlplusplus-dev nlohmann-json3-dev
  libzip-dev zlib1g-dev libarchive-dev libgif-dev libjpeg-dev libpng-dev libtiff-dev libwebp-dev
  libcurl4-openssl-dev libssl-dev
  libgtest-dev libgmock-dev librapidcheck-dev libbenchmark-dev
  gnuplot-nox
  clang-14 clang-format clang-tidy
  pkg-config  # which commits until 2026-11-28 ask for: nights build one
  dataset-fashion-mnist
)

if [ "${1:-}" = libtorch2 ]; then
  packages=(python3-venv)
elif [ "${1:-}" = bundle ]; then
  packages=(g++ make cmake ninja-build ca-certificates debian-archive-keyring dpkg-dev xz-utils debootstrap)
elif [ "${1:-}" = browser ]; then
  packages=(chromium chromium-driver curl jq)
fi

if ! command -v apt-get > /dev/null || ! command -v dpkg-query > /dev/null; then
  echo "not a Debian system: nothing is installed, and what is missing will be told by cmake (Debian's names: ${packages[*]})" >&2
  exit 0
fi

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  exit 0
fi

sudo=()
if [ "$(id -u)" -ne 0 ]; then
  sudo=(sudo)
fi
echo "installing: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
"${sudo[@]}" apt-get update -q >&2
"${sudo[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}" >&2
