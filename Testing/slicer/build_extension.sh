#!/usr/bin/env bash
# Configure, build, test and package the extension with Slicer's own CMake, then load the unpacked package in Slicer.
#
#     SLICER=/path/to/Slicer SLICER_DIR=/folder/with/SlicerConfig.cmake Testing/slicer/build_extension.sh
#
# The package stays in build/extension.
set -euo pipefail
repository=$(cd "$(dirname "$0")/../.." && pwd)
: "${SLICER:?Say which Slicer: SLICER=/path/to/Slicer}"
: "${SLICER_DIR:?Say where SlicerConfig.cmake is: SLICER_DIR=/folder}"
build=$repository/build/extension
export SLICER
export PATH=$repository/.venv/bin:$PATH
# Read by the chroot wrapper of a headless Slicer only: the folders that it shows inside.
export SLICER_BIND=$repository:${SLICER_BIND:-}

rm -rf "$build"
mkdir -p "$repository/build"
cmake -Wno-dev -S "$repository" -B "$build" -G Ninja -DBUILD_TESTING=ON -DSlicer_DIR="$SLICER_DIR" >"$repository/build/extension-configure.log" 2>&1 ||
  { tail -n 40 "$repository/build/extension-configure.log"; exit 1; }
ninja -C "$build"
# The module's own test asks a real server; in a headless Slicer's chroot it could not start one.
"$repository/.venv/bin/python" "$repository/Testing/slicer/desktop/run.py" --with-server \
  ctest --test-dir "$build" --output-on-failure
ninja -C "$build" package

archive=$(find "$build" -maxdepth 1 -name '*.tar.gz' | head -n 1)
unpacked=$build/unpacked
mkdir -p "$unpacked"
tar -xzf "$archive" -C "$unpacked" --strip-components=1
modules=$(dirname "$(find "$unpacked" -path '*/qt-scripted-modules/IMeasure.py')")
cd "$build"
IMEASURE_PACKAGE_MODULES=$modules "$SLICER" --no-splash --testing --disable-settings --no-main-window \
  --additional-module-paths "$modules" --python-script "$repository/Testing/slicer/check_package.py"
echo "The package loads in Slicer: $archive"
