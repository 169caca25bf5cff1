# The API: no TensorFlow, no OpenCV, nothing of the worker.
# From the repository's root: docker build -f docker/service.Dockerfile -t shapshot-service .

FROM debian:bookworm-slim AS python
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log

FROM python AS venv
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*
# pip has its own environment, so that the one that is copied has none.
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/venv
WORKDIR /src
COPY constraints.txt pyproject.toml ./
# No code is here yet: this installs the requirements and an empty shapshot with its version.
RUN --mount=type=cache,target=/root/.cache/pip \
    touch README.md \
    && /opt/pip/bin/pip --python /opt/venv/bin/python install --constraint constraints.txt '.[service,heic,otel,pdf]'

FROM python AS code
WORKDIR /app
COPY docker/healthy_api.py healthy.py
COPY service service
RUN python3 -m compileall -q --invalidation-mode unchecked-hash . && chmod -R a+rX,go-w .

FROM python
# Labels in figures: Chinese, Japanese and Korean; Indic, Thai and more; emoji. 15 MB together, where
# Noto's fonts would be 140. FriBiDi is what Pillow writes Arabic and Hebrew by, and Pango WeasyPrint.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        fonts-freefont-ttf fonts-symbola fonts-wqy-microhei libfribidi0 \
        libharfbuzz-subset0 libpango-1.0-0 libpangoft2-1.0-0 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log
RUN groupadd --gid 10001 shapshot \
    && useradd --uid 10001 --gid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin shapshot \
    && install -d -o shapshot -g shapshot -m 700 /var/lib/shapshot/store /var/lib/shapshot/keys
# With an arena a thread, glibc keeps what each drawing took
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    MALLOC_ARENA_MAX=2 \
    MPLCONFIGDIR=/tmp/matplotlib \
    SHAPSHOT_HOST=0.0.0.0 \
    SHAPSHOT_PORT=8000 \
    SHAPSHOT_KEYS_FILE=/var/lib/shapshot/keys/keys.jsonl \
    SHAPSHOT_STORE_URL=file:/var/lib/shapshot/store
COPY --from=venv /opt/venv /opt/venv
COPY --from=code /app /app
WORKDIR /app
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=20s --start-period=120s --retries=3 \
    CMD ["python", "/app/healthy.py"]
CMD ["python", "-m", "service.api"]
LABEL org.opencontainers.image.title="shapshot-service" \
      org.opencontainers.image.description="The HTTP API of Shapshot, which explains image classifiers" \
      org.opencontainers.image.licenses="Apache-2.0"
