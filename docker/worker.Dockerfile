# The worker, with its models. Two targets: cpu, which is built unless you name one, and gpu.
# From the repository's root: docker build -f docker/worker.Dockerfile -t shapshot-worker .
#                             docker build -f docker/worker.Dockerfile -t shapshot-worker-gpu --target gpu .

FROM debian:bookworm-slim AS python
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log

FROM python AS pip
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*
# pip has its own environment, so that the one that is copied has none.
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/venv
WORKDIR /src
COPY constraints.txt pyproject.toml ./
RUN touch README.md

# No code is here yet: these install the requirements and an empty shapshot with its version,
# and leave out TensorFlow's C++ headers (0.4 GB), which only serve to compile against it.
FROM pip AS venv-cpu
# openvino is the fastest backend for CPUs; EXTRAS=worker leaves it out
ARG EXTRAS=worker,openvino
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/pip/bin/pip --python /opt/venv/bin/python install --constraint constraints.txt ".[heic,imagenet,otel,$EXTRAS]" \
    && rm -rf /opt/venv/lib/python3.11/site-packages/tensorflow/include

FROM pip AS venv-gpu
COPY docker/constraints-gpu.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/pip/bin/pip --python /opt/venv/bin/python install --constraint constraints.txt \
        --constraint constraints-gpu.txt '.[worker,heic,imagenet,jax,otel]' 'tensorflow[and-cuda]' 'jax[cuda12]' \
    && rm -rf /opt/venv/lib/python3.11/site-packages/tensorflow/include

FROM python AS code
WORKDIR /app
COPY docker/healthy_worker.py healthy.py
COPY service/__init__.py service/
COPY service/schemas service/schemas
COPY service/jobs service/jobs
COPY service/images service/images
COPY service/infra service/infra
COPY worker worker
RUN python3 -m compileall -q --invalidation-mode unchecked-hash . && chmod -R a+rX,go-w .

FROM python AS runtime
RUN groupadd --gid 10001 shapshot \
    && useradd --uid 10001 --gid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin shapshot \
    && install -d -o shapshot -g shapshot -m 700 /var/lib/shapshot/store /var/lib/shapshot/weights
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    SHAPSHOT_STORE_URL=file:/var/lib/shapshot/store \
    SHAPSHOT_WEIGHTS_CACHE=/var/lib/shapshot/weights \
    SHAPSHOT_ALIVE_FILE=/tmp/alive
WORKDIR /app
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=20s --start-period=300s --retries=3 \
    CMD ["python", "/app/healthy.py"]
CMD ["python", "-m", "worker.main"]
LABEL org.opencontainers.image.title="shapshot-worker" \
      org.opencontainers.image.description="The worker of Shapshot, which explains image classifiers" \
      org.opencontainers.image.licenses="Apache-2.0"

FROM runtime AS gpu
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    CUDA_CACHE_PATH=/tmp/cuda
COPY --from=venv-gpu /opt/venv /opt/venv
COPY --from=code /app /app

FROM runtime AS cpu
COPY --from=venv-cpu /opt/venv /opt/venv
COPY --from=code /app /app
