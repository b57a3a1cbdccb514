# syntax=docker/dockerfile:1
# `app serve`, or `app worker`, from the lock file. Settings come from the environment: see .env.example.
FROM python:3.13-slim-bookworm AS build
COPY --from=ghcr.io/astral-sh/uv:0.13.9 /uv /bin/uv
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /srv
# The dependencies first: they are built anew only when the lock file changes. All are wheels; nothing is compiled.
COPY pyproject.toml uv.lock README.md ./
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --all-extras --no-build --no-install-project
COPY alembic.ini ./
COPY alembic ./alembic
COPY app ./app
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --all-extras && .venv/bin/python -m compileall -q app alembic

FROM python:3.13-slim-bookworm
RUN useradd --uid 10001 --home-dir /srv --no-create-home --shell /usr/sbin/nologin groundwork
WORKDIR /srv
# Root's, so that the server cannot change its own code.
COPY --from=build /srv ./
COPY deploy/healthcheck.py ./
ENV PATH="/srv/.venv/bin:$PATH" PYTHONUNBUFFERED=1 ENVIRONMENT=production HOST=0.0.0.0 PORT=8000
USER 10001
EXPOSE 8000
# Whether the process answers, not whether its database does: a restart mends the one and not the other.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "healthcheck.py", "live"]
# As process 1 itself, so that SIGTERM reaches it. WEB_CONCURRENCY is the number of its workers.
CMD ["app", "serve"]
