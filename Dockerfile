# ftcls in a container, without root.
#
#   docker build -t ftcls .
#   docker run --rm --gpus all -v "$PWD:/data" ftcls train quickstart
#
# PyTorch from the default index brings CUDA and runs on a machine without a GPU too, gigabytes larger than it need be.
# For a small image without CUDA name the index of PyTorch's CPU builds (pytorch.org, "Get started"):
#
#   docker build -t ftcls:cpu --build-arg TORCH_INDEX=... .
#
# Versions are those of constraints.txt and stand nowhere else.
FROM python:3.11-slim AS build
ARG TORCH_INDEX=""
ARG EXTRAS="offline,onnx"
WORKDIR /source
RUN python -m venv /venv
ENV PATH="/venv/bin:$PATH"
COPY constraints.txt ./
RUN pip install --no-cache-dir -c constraints.txt ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY configs configs
RUN pip install --no-cache-dir -c constraints.txt ".[$EXTRAS]"

FROM python:3.11-slim
# What a mounted folder belongs to is decided outside: docker run --user says who writes there.
RUN useradd --uid 1000 --create-home ftcls && install -d -o ftcls -m 0777 /data /cache
COPY --from=build /venv /venv
ENV PATH="/venv/bin:$PATH" FTCLS_CACHE=/cache/ftcls HF_HOME=/cache/huggingface PYTHONUNBUFFERED=1
USER ftcls
WORKDIR /data
VOLUME /cache
ENTRYPOINT ["ftcls"]
CMD ["--help"]
