# ftcls in a container, without root.
#
#   docker build -t ftcls .
#   docker run --rm --gpus all -v "$PWD:/data" ftcls train quickstart
#   docker run --rm -p 127.0.0.1:8000:8000 -e FTCLS_TOKEN -v "$PWD:/data" ftcls serve runs/quickstart --host 0.0.0.0
#
# PyTorch from the default index brings CUDA and runs on a machine without a GPU too, gigabytes larger than it need be.
# For a small image without CUDA name the index of PyTorch's CPU builds (pytorch.org, "Get started"):
#
#   docker build -t ftcls:cpu --build-arg TORCH_INDEX=... .
#
# Versions are those of constraints.txt and stand nowhere else.
#
# The base is named by its digest, an index of all platforms: Python 3.11.16 on Debian trixie, of September 2026. A run
# of the workflow says when the tag has a newer one.
FROM python:3.11-slim@sha256:da047cb8f9d1d98e5c070f5300ba9f7274e33b8fc0e5be5ed88740aed1b95ba9 AS build
ARG TORCH_INDEX=""
ARG EXTRAS="excel,offline,onnx,quantization,sentencepiece,serve"
WORKDIR /source
RUN python -m venv /venv
ENV PATH="/venv/bin:$PATH"
COPY constraints.txt ./
RUN pip install --no-cache-dir -c constraints.txt ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY configs configs
RUN pip install --no-cache-dir -c constraints.txt ".[$EXTRAS]"

FROM python:3.11-slim@sha256:da047cb8f9d1d98e5c070f5300ba9f7274e33b8fc0e5be5ed88740aed1b95ba9
# What a mounted folder belongs to is decided outside: docker run --user says who writes there.
RUN useradd --uid 1000 --create-home ftcls && install -d -o ftcls -m 0777 /data /cache
COPY --from=build /venv /venv
COPY scripts/container_health.py /usr/local/bin/
ENV PATH="/venv/bin:$PATH" FTCLS_CACHE=/cache/ftcls HF_HOME=/cache/huggingface PYTHONUNBUFFERED=1
USER ftcls
WORKDIR /data
VOLUME /cache
EXPOSE 8000
# Loading a large model takes its time; a command that serves nothing is always well.
HEALTHCHECK --interval=30s --timeout=5s --start-period=2m CMD ["python", "/usr/local/bin/container_health.py"]
ENTRYPOINT ["ftcls"]
CMD ["--help"]
