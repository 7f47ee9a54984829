#!/usr/bin/env bash
# Builds the program in a Debian of its own that has a compiler, CMake and Ninja, and of libraries only what a compiler needs: from the
# bundle of tools/make-deps-bundle.sh, which is made where it is missing or old, and PyPI's LibTorch. Then it runs tests there.
# Usage, as root: tools/check-bundle.sh [TEST_REGEX]       TORCH_CUDA_ARCH_LIST (default 9.0) names the chips; JOBS the processes.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" != 0 ]; then
  echo "check-bundle: a Debian of its own is made and entered by root alone" >&2
  exit 2
fi
if [ -z "${CHECK_BUNDLE_APART:-}" ]; then  # what is mounted below is there for this script alone, and ends with it
  exec env CHECK_BUNDLE_APART=1 unshare --mount --propagation private tools/check-bundle.sh "$@"
fi

bundle=build/ddpm-eval-deps-linux-x86_64.tar.xz
root=build/bare-debian
here=$PWD
jobs=${JOBS:-$(nproc)}

tools/install-deps.sh bundle
LIBTORCH2_OWN_NVCC=1 . tools/libtorch2.sh
[ "$bundle" -nt tools/make-deps-bundle.sh ] || tools/make-deps-bundle.sh "$bundle"
rm -rf build/ddpm-eval-deps
tar -xJf "$bundle" -C build
if [ ! -e "$root/made" ]; then
  rm -rf "$root"
  debootstrap --variant=minbase --include=g++,cmake,ninja-build bookworm "$root" http://deb.debian.org/debian > /dev/null
  touch "$root/made"
fi

# Under the same name, so that nothing need be told where the bundle and LibTorch are.
mkdir -p "$root$here"
mount --bind "$here" "$root$here"
mount -t proc proc "$root/proc"
inside() { chroot "$root" env -i -C "$here" PATH=/usr/bin:/bin HOME=/root LIBTORCH="$libtorch2" "$@"; }

echo "-dev packages there: $(inside dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' '*-dev' | sed -n 's/^ii *//p' | xargs)"
inside cmake --preset bundle -DDDPM_EVAL_BUILD_BENCH=OFF "${libtorch2_flags[@]}"
inside cmake --build --preset bundle -j "$jobs" --target ddpm-eval test_core test_tensor test_data
inside build/bundle/bin/ddpm-eval info
inside ctest --preset bundle -j "$jobs" -L fast -R "${1:-^(core|tensor|data)\$}"
