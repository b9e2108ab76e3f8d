#!/bin/sh
# Builds what a release consists of, in dist/: the sdist, the wheel, a list of all that the wheel needs (SBOM, CycloneDX)
# and SHA256SUMS. Nothing is uploaded. The workflow .github/workflows/release.yml runs this script, too.
# Needs pip install build twine cyclonedx-bom
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
rm -rf dist build/release
# Files carry the time of the commit, so that two builds of it are equal
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
"$python" -m build --outdir dist .
"$python" -m twine check --strict dist/*
wheel=$(echo dist/*.whl)
# An SBOM of an environment that contains the wheel and its requirements, and nothing else
"$python" -m venv build/release
build/release/bin/python -m pip install --quiet "$wheel"
build/release/bin/python -m pip uninstall --quiet --yes pip
"$python" -m cyclonedx_py environment --output-reproducible --output-format JSON \
    --output-file "${wheel%.whl}.cdx.json" build/release/bin/python
sed -i "s#file://$PWD/dist/##" "${wheel%.whl}.cdx.json"
(cd dist && sha256sum -- * > SHA256SUMS)
cat dist/SHA256SUMS
