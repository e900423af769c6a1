# Two stages: the first has pip and what it needs, the second only what runs.
# Registries are the builder's business, in pip's own words: make image BUILD_ARGS='--build-arg PIP_INDEX_URL=...'.
FROM debian:bookworm-slim AS wheels
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/*
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
ARG PIP_CERT
RUN python3 -m venv --without-pip /opt/hrm
# Before the source is there: what is installed here stays cached until pyproject.toml changes.
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
RUN mkdir server hrm_model retrieval \
    && pip --python /opt/hrm/bin/python install --no-cache-dir . \
    && pip --python /opt/hrm/bin/python uninstall --yes hrm-serve
COPY hrm_model hrm_model
COPY retrieval retrieval
COPY server server
RUN pip --python /opt/hrm/bin/python install --no-cache-dir --no-deps .

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin hrm \
    && install --directory --owner hrm --group hrm --mode 0700 /data
COPY --from=wheels /opt/hrm /opt/hrm
# The root file system may be read-only: state goes to /data, everything passing to /tmp.
ENV PATH=/opt/hrm/bin:/usr/bin:/bin \
    HOME=/tmp \
    HF_HOME=/tmp/huggingface \
    HF_HUB_OFFLINE=1 \
    TRANSFORMERS_OFFLINE=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HRM_HOST=0.0.0.0 \
    HRM_PORT=8000 \
    HRM_DATA_DIR=/data \
    HRM_FIRST_KEY_FILE=/run/secrets/hrm_first_key
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python3", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"HRM_PORT\"]}/livez', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["hrm-serve"]
CMD ["serve"]
