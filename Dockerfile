# syntax=docker/dockerfile:1
# `app serve`, or `app worker`, from the lock file. Settings come from the environment: see .env.example.
FROM python:3.13-slim-bookworm AS build
COPY --from=ghcr.io/astral-sh/uv:0.13.9 /uv /bin/uv
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /srv
# The dependencies first: they are got anew only when the lock file changes. All are wheels; nothing is built.
COPY pyproject.toml uv.lock ./
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --no-dev --all-extras --no-build --no-install-project
COPY alembic.ini ./
COPY alembic ./alembic
COPY app ./app
# The `app` command by hand: to install the project, uv would get a build tool that no lock file knows. All bytecode is made
# now, where it can be written. What drivers were compiled from stays here: 10 MB that nobody reads.
RUN printf '%s\n' '#!/srv/.venv/bin/python' 'from app.cli import main' 'if __name__ == "__main__":' '    main()' \
        > .venv/bin/app && chmod 755 .venv/bin/app \
    && .venv/bin/python -m compileall -q app alembic \
    && find .venv -name '*.c' -delete && find .venv -name '*.pyx' -delete

FROM python:3.13-slim-bookworm
# Nothing is installed from here on, and so there is nothing that could.
RUN python -m pip uninstall --quiet --yes --root-user-action=ignore pip \
    && rm -r /usr/local/lib/python3.13/ensurepip \
    && useradd --uid 10001 --home-dir /srv --no-create-home --shell /usr/sbin/nologin groundwork
WORKDIR /srv
# Root's, so that the server cannot change its own code; it writes to /tmp and nowhere else.
COPY --from=build /srv ./
COPY deploy/healthcheck.py ./
ENV PATH="/srv/.venv/bin:$PATH" PYTHONPATH=/srv PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    ENVIRONMENT=production HOST=0.0.0.0 PORT=8000
USER 10001
EXPOSE 8000
# Whether the process answers, not whether its database does: a restart mends the one and not the other.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "healthcheck.py", "live"]
# Writable for user 10001 also where the root filesystem is read only and a platform (Fargate) mounts an empty folder there.
VOLUME ["/tmp"]
# As process 1 itself, so that SIGTERM reaches it. WEB_CONCURRENCY is the number of its workers.
CMD ["app", "serve"]
