# The hub's image: one for web, worker and commands. What runs in it follows from the command (see compose.yaml).

FROM python:3.11-slim AS install
WORKDIR /opt/hub
COPY requirements.txt .
RUN python -m venv .venv && .venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt

FROM python:3.11-slim
ENV PATH=/opt/hub/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --system --uid 10001 --home-dir /opt/hub hub
WORKDIR /opt/hub
COPY --from=install /opt/hub/.venv .venv
COPY manage.py CHANGELOG.md ./
COPY connectors connectors
COPY carts carts
COPY syncjobs syncjobs
COPY integration_manager integration_manager
COPY templates templates
COPY static static
# Nobody may write here later on: without this each process would compile everything anew when it starts.
RUN python -m compileall -q connectors carts syncjobs integration_manager
USER hub
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["gunicorn", "integration_manager.wsgi", "--bind=0.0.0.0:8000", "--workers=2", "--worker-class=gthread", "--threads=4", \
    "--worker-tmp-dir=/dev/shm"]
