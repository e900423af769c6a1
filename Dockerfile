# Two stages: the first installs the bundle that `make bundle` wrote, the second holds only what runs.
# Nothing is fetched but Debian's packages, from where the base image's apt is told to.
FROM debian:bookworm-slim AS installed
RUN apt-get update \
    && apt-get install --yes --no-install-recommends binutils python3 python3-pip python3-venv
COPY dist/bundle /bundle
# Without bytecode: it is written further down, for the modules that a server loads.
RUN python3 -m venv --without-pip /opt/hrm \
    && pip --python /opt/hrm/bin/python install --no-cache-dir --no-compile --no-index --find-links /bundle \
        --no-deps --require-hashes --requirement /bundle/server.txt
# What nothing here loads: tests, torch's headers and build tools, its symbols for debuggers. (Other packages' libraries
# were rewritten by auditwheel, which strip does not survive.)
RUN cd /opt/hrm/lib/python3*/site-packages \
    && rm -rf torch/test torch/include torch/share torch/lib/*test*.so torch/lib/libbackend_with_compiler.so \
    && find torch/bin -type f ! -name torch_shm_manager -delete \
    && find . -type d -name tests -prune -exec rm -rf {} + \
    && strip --strip-unneeded torch/lib/libtorch_cpu.so torch/lib/libtorch_python.so
# The first run of what is left writes the bytecode, and stops the build if something is missing.
RUN export HRM_DATA_DIR=/tmp/data PATH=/opt/hrm/bin:$PATH \
    && hrm-serve ingest "$(hrm-serve samples)/glossary.txt" --store once \
    && hrm-serve search 'What is an excess?' --store once > /dev/null \
    && python3 -c 'import hrm_model.engine, server.app, uvicorn'

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/* \
    && groupadd --system --gid 10001 hrm \
    && useradd --system --uid 10001 --gid hrm --no-create-home --home-dir /data --shell /usr/sbin/nologin hrm \
    && install --directory --owner hrm --group hrm --mode 0700 /data \
    && find / -xdev -type f -perm /6000 -exec chmod ug-s {} +
COPY --from=installed /opt/hrm /opt/hrm
COPY deploy/healthcheck.py /opt/hrm/
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
USER 10001:10001
WORKDIR /data
VOLUME /data
# 8001: for HRM_METRICS_LISTEN, which is not set here.
EXPOSE 8000 8001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python3", "/opt/hrm/healthcheck.py"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["hrm-serve"]
CMD ["serve"]
