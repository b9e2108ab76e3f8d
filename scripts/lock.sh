#!/bin/sh
# The versions and hashes of all packages in the container: locks/*.txt, from setup.cfg. Needs uv (pip install uv).
# Run it again after a change of the requirements, and every month for security updates.
set -eu
cd "$(dirname "$0")/.."
lock() {
    output=$1
    shift
    uv pip compile --quiet --upgrade --generate-hashes --no-annotate --no-header --python-version 3.11 \
        --python-platform x86_64-manylinux_2_36 --constraints locks/constraints.txt --output-file "locks/$output" "$@"
}
lock cpu.txt --extra film --extra int8 setup.cfg
lock cuda.txt --extra film --extra int8 --extra cuda setup.cfg
printf 'setuptools>=77\nwheel\n' | lock build.txt -
