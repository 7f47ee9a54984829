#!/usr/bin/env bash
# Packs what ddpm-eval needs beside LibTorch, as headers and static libraries, for machines that have a compiler, CMake and
# Ninja but no packages: Linux on x86-64 with glibc 2.36 or later. All of it is Debian 12's, of packages that apt verifies; what Debian has as
# shared libraries alone is built here. docs/building.md says how to build with it; build/ddpm-eval-deps is what it unpacks to.
# Usage: tools/make-deps-bundle.sh [OUT.tar.xz]       JOBS names the processes
# shellcheck disable=SC2046  # the flags are words
set -euo pipefail
cd "$(dirname "$0")/.."

most_megabytes=60
export SOURCE_DATE_EPOCH=946684800  # libraries with the time of their making in them have this one
out=$(realpath -m "${1:-build/ddpm-eval-deps-linux-x86_64.tar.xz}")
jobs=${JOBS:-$(nproc)}
work=$PWD/build/deps-bundle
prefix=$PWD/build/ddpm-eval-deps
log=$work/log.txt

if [[ $PWD == *[[:space:]]* ]]; then
  echo "make-deps-bundle: $PWD: there are spaces in the path, and builds of Debian's sources that do not bear them" >&2
  exit 2
fi
tools/install-deps.sh bundle
rm -rf "$work" "$prefix"
mkdir -p "$work"/{lists,cache,archives,source,object} "$prefix"/{lib,include,share/licenses}
trap '[ $? -eq 0 ] || { rm -rf "$prefix"; echo "make-deps-bundle: failed; the end of $log:" >&2; tail -n 30 "$log" >&2; }' EXIT

# ---- Packages ----------------------------------------------------------------------------------------------------------

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
for place in 'debian bookworm' 'debian-security bookworm-security'; do
  for kind in deb deb-src; do
    echo "$kind [arch=amd64 signed-by=$keyring] http://deb.debian.org/$place main"
  done
done > "$work/sources.list"
apt=(apt-get -q -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$work/lists"
     -o "Dir::Cache=$work/cache" -o "APT::Sandbox::User=$(id -un)")
"${apt[@]}" update >> "$log" 2>&1

# Headers and static libraries as Debian has built them.
from_package() {
  local name=$1 unpacked=$work/object/$1
  echo "make-deps-bundle: $name" >&2
  (cd "$work/archives" && "${apt[@]}" download "$name") >> "$log" 2>&1
  dpkg-deb -x "$work/archives/${name}"_*.deb "$unpacked"
  echo "$name $(dpkg-deb -f "$work/archives/${name}"_*.deb Version)" >> "$prefix/share/versions.txt"
  cp "$unpacked/usr/share/doc/$name/copyright" "$prefix/share/licenses/$name"
  rm -rf "$unpacked"/usr/share/{doc,doc-base,man,pkgconfig,bug,lintian} "${unpacked:?}/usr/bin"
  find "$unpacked" '(' -name '*.so*' -o -name '*.la' -o -name '*.pc' ')' -delete
  if [ -d "$unpacked/usr/include/x86_64-linux-gnu" ]; then  # where compilers of others do not look
    cp -a "$unpacked/usr/include/x86_64-linux-gnu/." "$unpacked/usr/include"
    rm -r "$unpacked/usr/include/x86_64-linux-gnu"
  fi
  cp -a "$unpacked/usr/." "$prefix"
}

for name in libcli11-dev libeigen3-dev libgif-dev libgmock-dev libgtest-dev libjpeg62-turbo-dev libpng-dev librapidcheck-dev \
  libssl-dev libtomlplusplus-dev libwebp-dev nlohmann-json3-dev zlib1g-dev; do
  from_package "$name"
done
# toml++ is its headers, unless its CMake file is told of a library.
sed -i 's/if (True)/if (False)/' "$prefix/lib/x86_64-linux-gnu/cmake/tomlplusplus/tomlplusplusConfig.cmake"

# ---- What Debian has as shared libraries, or with more in it than is wanted --------------------------------------------

# Nothing but what is in the prefix is to be found.
export PKG_CONFIG_LIBDIR=$prefix/lib/pkgconfig
configure() {
  local name=$1
  shift
  echo "make-deps-bundle: $name" >&2
  (cd "$work/archives" && "${apt[@]}" source --download-only "$name") >> "$log" 2>&1
  dpkg-source --no-check -x "$work/archives/${name}"_*.dsc "$work/source/$name" >> "$log" 2>&1
  local about=$work/source/$name/debian
  echo "$name $(dpkg-parsechangelog -l "$about/changelog" -S Version)" >> "$prefix/share/versions.txt"
  cp "$about/copyright" "$prefix/share/licenses/$name"
  cmake -S "$work/source/$name" -B "$work/object/$name" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_POSITION_INDEPENDENT_CODE=ON \
    -DBUILD_SHARED_LIBS=OFF -DBUILD_TESTING=OFF -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib \
    -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_FIND_USE_CMAKE_SYSTEM_PATH=OFF \
    -DCMAKE_C_FLAGS="-ffile-prefix-map=$work=." -DCMAKE_CXX_FLAGS="-ffile-prefix-map=$work=." "$@" >> "$log" 2>&1
}

with_cmake() {
  local name=$1
  configure "$@"
  cmake --build "$work/object/$name" -j "$jobs" >> "$log" 2>&1
  cmake --install "$work/object/$name" >> "$log" 2>&1
  if find "$prefix" -name '*.so*' | grep . >> "$log"; then
    echo "make-deps-bundle: $name has made shared libraries" >> "$log"
    return 1
  fi
}

# off WITH_ A B: -DWITH_A=OFF -DWITH_B=OFF
off() {
  local start=$1
  shift
  printf -- "-D$start%s=OFF " "$@"
}

with_cmake tiff -DCMath_LIBRARY="$(gcc -print-file-name=libm.so)" $(off tiff- tools tests contrib docs) $(off '' jbig lerc libdeflate lzma webp zstd cxx)
configure libarchive -DENABLE_ZLIB=ON $(off ENABLE_ ACL BZip2 CAT CNG CPIO EXPAT ICONV LIBB2 LIBXML2 LZ4 LZMA LZO MBEDTLS \
  NETTLE OPENSSL PCREPOSIX TAR TEST XATTR ZSTD)
cmake --build "$work/object/libarchive" -j "$jobs" --target archive_static >> "$log" 2>&1  # the shared one is made in any case
cp "$work/object/libarchive/libarchive/libarchive.a" "$prefix/lib"
cp "$work/source/libarchive/libarchive"/archive{,_entry}.h "$prefix/include"
with_cmake libzip $(off ENABLE_ BZIP2 COMMONCRYPTO GNUTLS LZMA MBEDTLS OPENSSL) $(off BUILD_ DOC EXAMPLES REGRESS TOOLS)
# Certificates are looked for where OpenSSL does.
with_cmake curl -DBUILD_CURL_EXE=OFF -DCURL_USE_OPENSSL=ON -DOPENSSL_ROOT_DIR="$prefix" \
  -DCURL_CA_BUNDLE=none -DCURL_CA_PATH=none -DCURL_CA_FALLBACK=ON $(off CURL_ BROTLI USE_GSSAPI USE_LIBSSH USE_LIBSSH2 ZLIB ZSTD) \
  $(off '' ENABLE_MANUAL USE_LIBIDN2 USE_LIBRTMP USE_NGHTTP2) \
  $(printf -- '-DCURL_DISABLE_%s=ON ' DICT FTP GOPHER IMAP LDAP LDAPS MQTT POP3 RTSP SMB SMTP TELNET TFTP)
with_cmake fmtlib $(off FMT_ DOC TEST)
with_cmake benchmark -DGIT_VERSION=0.0.0 $(off BENCHMARK_ENABLE_ GTEST_TESTS TESTING)
# Debian's own pulls in GDAL and GDCM.
with_cmake opencv -DBUILD_LIST=core,imgproc,imgcodecs -DENABLE_PRECOMPILED_HEADERS=OFF -DOPENCV_GENERATE_PKGCONFIG=OFF \
  $(off WITH_ 1394 ADE EIGEN FFMPEG GDAL GDCM GSTREAMER GTK IPP ITT JASPER LAPACK OPENCL \
    OPENEXR OPENJPEG PROTOBUF QUIRC TBB V4L VTK) \
  $(off BUILD_ EXAMPLES IPP_IW ITT JAVA JPEG PERF_TESTS PNG TESTS TIFF WEBP ZLIB opencv_apps opencv_java opencv_python3)

# ---- The archive -------------------------------------------------------------------------------------------------------

rm -rf "${prefix:?}"/{bin,sbin,man,lib/pkgconfig,share/man,share/doc,share/pkgconfig,share/opencv4,lib/cmake/tiff}
# What a library's targets say of others that they were built with is made to follow the archive.
for file in $(grep -rlF "$prefix" "$prefix" --include='*.cmake' || true); do
  grep -q 'set(_IMPORT_PREFIX)' "$file" || { echo "make-deps-bundle: $file names $prefix, and knows no other" >&2; exit 1; }
  sed -i "s|$prefix/|\${_IMPORT_PREFIX}/|g" "$file"
done
if grep -rIl -e "$PWD" -e '/usr/lib/[^" ]*\.\(so\|a\)' "$prefix" --include='*.cmake' >&2; then
  echo "make-deps-bundle: the files above name places of this machine" >&2
  exit 1
fi
mkdir -p "$(dirname "$out")"
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -C "$(dirname "$prefix")" -cf - "$(basename "$prefix")" |
  xz -9 -T "$jobs" > "$out.part"
megabytes=$(($(stat -c %s "$out.part") / 1000000))
if [ "$megabytes" -gt "$most_megabytes" ]; then
  echo "make-deps-bundle: $megabytes MB, and at most $most_megabytes are wanted" >&2
  exit 1
fi
mv "$out.part" "$out"
rm -rf "$work"/{source,object,archives}
echo "$out: $megabytes MB" >&2
