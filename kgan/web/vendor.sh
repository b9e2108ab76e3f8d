#!/bin/sh
# vendor.sh BUILD VENDOR: installs the packages of package-lock.json in BUILD and copies the files of the page to VENDOR.
set -eu
here=$(dirname "$0")
build=$1
vendor=$2
packages=$build/node_modules/@litertjs

mkdir -p "$build"
cp "$here/package.json" "$here/package-lock.json" "$build"
npm ci --prefix "$build" --ignore-scripts --no-audit --no-fund
rm -rf "$vendor" "$vendor.partial"
mkdir -p "$vendor.partial"

# Workers do not support import maps. So the only import by the name of a package is replaced by a path.
sed -e 's|"@litertjs/wasm-utils"|"./wasm-utils.js"|' -e '/^\/\/# sourceMappingURL/d' \
  "$packages/core/dist/index.js" >"$vendor.partial/litert.js"
sed -e '/^\/\/# sourceMappingURL/d' "$packages/wasm-utils/dist/index.js" >"$vendor.partial/wasm-utils.js"
for build_of in internal compat_internal threaded_internal; do
  cp "$packages/core/wasm/litert_wasm_$build_of.js" "$packages/core/wasm/litert_wasm_$build_of.wasm" "$vendor.partial"
done
chmod 644 "$vendor.partial"/*
cp "$here/NOTICE.vendor" "$vendor.partial/NOTICE"
cp "$here/../../LICENSE" "$vendor.partial/LICENSE"
mv "$vendor.partial" "$vendor"
