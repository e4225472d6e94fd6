#!/usr/bin/env bash
# tests/support/caf_for_tsan.sh DIR: CAF's core from Debian's source package, built with TSan into DIR/lib. To TSan a message that
# passes an uninstrumented CAF is a race, each time.
set -euo pipefail
version=0.17.6
mkdir -p "$1" && cd "$1"
[ -e lib/libcaf_core.so.$version ] && exit 0

# apt's own mirror, with sources; nothing of the system is changed.
mirror=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(CODENAME)' 'Identifier: Packages' | awk '$1 == "Debian" && $3 !~ /-/ {print $2, $3; exit}')
mkdir -p apt/lists/partial apt/archives/partial
echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror main" > apt/sources.list
apt() { apt-get -q -o Dir::Etc::sourcelist="$PWD/apt/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$PWD/apt/lists" -o Dir::Cache="$PWD/apt" "$@"; }
apt update
apt source --download-only --tar-only actor-framework=$version-2.1
tar xf actor-framework_$version.orig.tar.gz

cmake -S actor-framework-$version -B . -G Ninja -DCMAKE_CXX_FLAGS='-std=c++17 -O1 -g1 -fsanitize=thread -w' -DCMAKE_POLICY_VERSION_MINIMUM=3.5 \
  -DCAF_NO_IO=yes -DCAF_NO_OPENSSL=yes -DCAF_NO_UNIT_TESTS=yes -DCAF_NO_EXAMPLES=yes -DCAF_NO_TOOLS=yes > cmake.log
cmake --build .
