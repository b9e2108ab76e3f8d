# kgan in a container, for the CPU and for an NVIDIA GPU, as a user without rights:
#
#   docker build --target cpu --tag kgan:cpu .
#   docker build --target cuda --tag kgan:cuda .
#   docker run --rm --volume "$PWD:/work" --user "$(id -u):$(id -g)" kgan:cpu stylize photos --model vangogh --output painted
#   docker run --rm --gpus all --volume "$PWD:/work" --user "$(id -u):$(id -g)" kgan:cuda train --content photos --style paintings
#
# Python packages are pinned by version and hash (locks/, made by scripts/lock.sh), the base image by its digest, which is
# that of debian:bookworm-20260824-slim. To take a newer one:
#
#   docker buildx imagetools inspect debian:bookworm-slim --format '{{.Manifest.Digest}}'
#   docker build --build-arg BASE=debian:bookworm-slim@sha256:... --target cpu --tag kgan:cpu .
#
# The CUDA libraries come from PyPI, so both targets have the same base. x86-64 only, as are the locks.
ARG BASE=debian:bookworm-slim@sha256:88200866dfff7ea7f5cbcb6ec7c8a701889efe6fe859fe64d6990e4b07ea4171

FROM ${BASE} AS base
ENV PATH=/opt/kgan/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/*
# /home/kgan is open to all, so that `--user` with another number finds a home for caches
RUN useradd --uid 1000 --create-home kgan \
    && chmod 1777 /home/kgan \
    && install --directory --owner=kgan --group=kgan /work

FROM base AS build
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY locks/build.txt /src/locks/build.txt
RUN python3 -m venv /opt/kgan \
    && pip install --no-cache-dir --require-hashes -r /src/locks/build.txt

FROM build AS build-cpu
COPY locks/cpu.txt /src/locks/cpu.txt
RUN pip install --no-cache-dir --require-hashes --no-build-isolation --use-pep517 -r /src/locks/cpu.txt
COPY setup.cfg pyproject.toml README.md LICENSE /src/
COPY saved_models /src/saved_models
COPY kgan /src/kgan
RUN pip install --no-cache-dir --no-index --no-deps --no-build-isolation /src

FROM build AS build-cuda
COPY locks/cuda.txt /src/locks/cuda.txt
RUN pip install --no-cache-dir --require-hashes --no-build-isolation --use-pep517 -r /src/locks/cuda.txt
COPY setup.cfg pyproject.toml README.md LICENSE /src/
COPY saved_models /src/saved_models
COPY kgan /src/kgan
RUN pip install --no-cache-dir --no-index --no-deps --no-build-isolation /src

FROM base AS cuda
COPY --from=build-cuda /opt/kgan /opt/kgan
ENV HOME=/home/kgan
WORKDIR /work
USER kgan
ENTRYPOINT ["kgan"]
CMD ["--help"]

FROM base AS cpu
COPY --from=build-cpu /opt/kgan /opt/kgan
ENV HOME=/home/kgan
WORKDIR /work
USER kgan
ENTRYPOINT ["kgan"]
CMD ["--help"]
