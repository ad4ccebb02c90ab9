# The serving image: Python, onnxruntime for the CPU, gRPC, OpenTelemetry, foldserve and the committed demo models.
# docs/container.md says how to build and run it. Any base with a python3 of 3.11 or newer that can make
# virtual environments will do.
ARG BASE_IMAGE=python:3.12-slim-bookworm

# What foldserve needs, from pyproject.toml alone, so that this stage stays cached when only code changes.
# The environment gets no pip of its own: the one in /opt/tools installs into it.
FROM ${BASE_IMAGE} AS dependencies
WORKDIR /src
COPY pyproject.toml constraints.txt ./
RUN python3 -m venv /opt/tools \
 && python3 -m venv --without-pip /opt/foldserve \
 && python3 -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
extras = project['optional-dependencies']; \
print(*project['dependencies'], *extras['cpu'], *extras['grpc'], *extras['otel'], sep='\n')" > requirements.txt \
 && /opt/tools/bin/pip --python /opt/foldserve/bin/python install --no-cache-dir --no-compile \
      --only-binary :all: -c constraints.txt -r requirements.txt \
 && /opt/foldserve/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/foldserve/lib

# The project as a wheel. It lands under /new, so that the final image gets it as a small layer of its own.
# The models may come from a checkout that only its owner can read; the server is another user.
FROM dependencies AS project
COPY README.md LICENSE ./
COPY service service
COPY training training
RUN /opt/tools/bin/pip wheel --no-cache-dir --no-deps --wheel-dir /tmp/wheel . \
 && /opt/tools/bin/pip --python /opt/foldserve/bin/python install --no-deps --no-compile \
      --root /new /tmp/wheel/*.whl \
 && /opt/foldserve/bin/python -m compileall -q --invalidation-mode unchecked-hash \
      -s /new /new/opt/foldserve/lib
COPY models /new/models
RUN chmod -R a+rX /new

# No RUN from here on: what is mounted into the build, such as pip's configuration, leaves no trace here.
# ORT_DISABLE_TELEMETRY: onnxruntime's own wheels report to their maker unless told not to.
FROM ${BASE_IMAGE}
COPY --from=dependencies /opt/foldserve /opt/foldserve
COPY --from=project /new /
ENV PATH=/opt/foldserve/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ORT_DISABLE_TELEMETRY=1 \
    FOLDSERVE_HOST=0.0.0.0 \
    FOLDSERVE_PORT=8000 \
    FOLDSERVE_MODELS_DIR=/models \
    FOLDSERVE_DEFAULT_MODEL=digits
WORKDIR /models
USER 10001:10001
EXPOSE 8000
# http.client rather than urllib.request: a proxy set in the environment must not get this request.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-I", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['FOLDSERVE_PORT']), timeout=4); c.request('GET', '/health/ready'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["foldserve"]
CMD ["serve"]
