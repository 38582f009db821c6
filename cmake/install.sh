#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Build an ament_cmake package and install it into a virtual environment, which thereby is its ROS 2 prefix.
# Usage: install.sh VENV SOURCE [CMAKE_OPTION...]; prints nothing unless it fails.
set -eu
venv=$(cd "$1" && pwd)
source=$(cd "$2" && pwd)
shift 2
name=$(basename "$source")
[ -d "$source/pose_ros" ] && name=pose_ros
build=$venv/build/$name
log=$build.log

mkdir -p "$build"
if ! {
    "$venv/bin/cmake" -G Ninja -S "$source" -B "$build" -Wno-dev \
        -DCMAKE_INSTALL_PREFIX="$venv" -DBUILD_TESTING=OFF "$@" &&
        "$venv/bin/cmake" --build "$build" --target install
} >"$log" 2>&1; then
    cat "$log" >&2
    echo "pose_ros: building $name failed; the output is above and in $log" >&2
    exit 1
fi
