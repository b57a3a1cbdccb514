# `make run` starts Groundwork, `make test` tests it, `make check` is the gate. `make help` lists the rest.
.DEFAULT_GOAL := help
SHELL := /bin/sh

PYTHON ?= python3
PORT ?=
EXTRAS ?=
BIN := .venv/bin

# uv makes .venv from the lock file; where there is none, one is put into .uv by pip.
UV_VERSION := 0.13.9
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
# Bytecode at the installation: where PYTHONDONTWRITEBYTECODE is set, each start would compile 700 modules anew.
SYNC = $(UV) sync --quiet --frozen --inexact --compile-bytecode --python $(BIN)/python
RUNTIME := .venv/.runtime$(if $(EXTRAS),-$(subst $() $(),-,$(strip $(EXTRAS))))
DEVELOPMENT := .venv/.development

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: setup ## Migrate the database and serve on PORT (8000)
	@$(if $(PORT),PORT=$(PORT)) $(BIN)/app serve

.PHONY: setup
setup: $(RUNTIME) ## Make .venv; EXTRAS="postgres mysql celery redis" adds those of them

.PHONY: tools
tools: $(DEVELOPMENT) ## Add to .venv what tests, lint and types need; each target that wants it does so itself

.PHONY: test
test: $(DEVELOPMENT) ## Run the quick tests on SQLite, in a minute; on TEST_POSTGRES_URL and TEST_MYSQL_URL too when set
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n auto --dist worksteal -m "not slow" tests/unit tests/integration tests/conformance tests/e2e/test_workflows.py

.PHONY: check
check: $(DEVELOPMENT) ## The gate: format, lint, types, lock, tests with coverage
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/ruff check --preview --select PLC2701 app generator # no private name of another package
	$(BIN)/ty check
	$(BIN)/lint-imports --no-cache
	@$(MAKE) --no-print-directory check-lock
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n auto --dist worksteal --durations=10
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

.PHONY: check-lock
check-lock: $(DEVELOPMENT)
	$(UV) lock --check --quiet
	@$(EXPORT) | cmp --silent - requirements.txt && $(EXPORT_HEROKU) | cmp --silent - $(HEROKU) \
		|| { echo "requirements.txt or $(HEROKU) is not what uv.lock says: run 'make lock'"; exit 1; }

EXPORT = $(UV) export --quiet --frozen --no-dev --no-emit-project --no-header --no-annotate
HEROKU := deploy/heroku/requirements.txt
EXPORT_HEROKU = $(EXPORT) $(addprefix --extra ,postgres redis celery sentry telemetry)

.PHONY: check-pip
check-pip: $(DEVELOPMENT) ## Install requirements.txt with pip into an empty venv and serve from it
	@$(BIN)/python -m tests.check_pip

.PHONY: lock
lock: | $(UV) ## Write uv.lock and what is exported from it anew from pyproject.toml
	$(UV) lock --quiet
	$(EXPORT) > requirements.txt
	$(EXPORT_HEROKU) > $(HEROKU)

.PHONY: format
format: $(DEVELOPMENT) ## Format the code and mend what the linter can
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

.PHONY: clients
clients: $(DEVELOPMENT) ## Write the typed clients of the API, in Python and, where node is, in TypeScript, into clients/
	@$(BIN)/python -m clients

.PHONY: cluster
cluster: $(DEVELOPMENT) ## Start all of it: nginx, APPS=3, a worker, PostgreSQL with REPLICAS=2, Redis, RabbitMQ; DOCKER=no
	@APPS="$(APPS)" REPLICAS="$(REPLICAS)" DOCKER="$(DOCKER)" $(BIN)/python -m deploy.cluster

.PHONY: prove-entities
prove-entities: $(DEVELOPMENT) ## Add, prove and remove random entities: CLONES=20 ENTITIES=6 FIRST_SEED=1
	PROVE_CLONES=$(or $(CLONES),20) PROVE_ENTITIES=$(or $(ENTITIES),6) PROVE_FIRST_SEED=$(or $(FIRST_SEED),1) \
		$(BIN)/pytest -n auto tests/e2e/test_random_entities.py

.PHONY: fuzz
fuzz: $(DEVELOPMENT) ## Fuzz the API on each database, SQLite and what the tests have: CASES=50000 FIRST_SEED=1
	@CASES=$(or $(CASES),50000) FIRST_SEED=$(or $(FIRST_SEED),1) $(BIN)/python -m tests.fuzz

.PHONY: faults
faults: $(DEVELOPMENT) ## Kill each part of a cluster under load, and see what is lost: FAULTS=20 ROLLING=50 SECONDS=10
	@FAULTS="$(FAULTS)" ROLLING="$(ROLLING)" SECONDS="$(SECONDS)" $(BIN)/python -m tests.faults

.PHONY: mutate
mutate: $(DEVELOPMENT) ## Take each defence out of a clone, and see the tests notice: ONLY="part of its name"
	@ONLY="$(ONLY)" $(BIN)/python -m tests.mutations

.PHONY: bench
bench: $(DEVELOPMENT) ## Compare the speed with bare Starlette and with the plain stack: SECONDS=4 ROUNDS=5 ITEMS=10000000 OUT=docs
	@$(SYNC) --group plot
	@SECONDS="$(SECONDS)" ROUNDS="$(ROUNDS)" ITEMS="$(ITEMS)" OUT="$(OUT)" $(BIN)/python -m benchmarks.speed

.PHONY: bench-start
bench-start: $(DEVELOPMENT) ## Compare the time to the first answer with that of the plain stack
	@$(BIN)/python -m benchmarks.speed.start

.PHONY: bench-entities
bench-entities: $(DEVELOPMENT) ## Measure what ten and twenty more entities cost: adding, starting, memory, tests
	$(BIN)/python -m benchmarks.entities

.PHONY: bench-jobs
bench-jobs: $(DEVELOPMENT) ## Measure ten thousand jobs, embedded and with each broker that is installed
	$(BIN)/python -m benchmarks.jobs

.PHONY: bench-growth
bench-growth: $(DEVELOPMENT) ## Measure and reckon what a million users and a billion items need: ROWS=1000000
	@ROWS=$(or $(ROWS),1000000) $(BIN)/python -m benchmarks.growth

.PHONY: login-timing
login-timing: $(DEVELOPMENT) ## Compare how long sign-ins with an unknown address and with a wrong password take: TRIES=40
	@TRIES=$(or $(TRIES),40) $(BIN)/python -m benchmarks.login_timing

.PHONY: clean
clean: ## Remove .venv and what tools left behind; keep .env and the database
	rm -rf .venv .uv .ruff_cache .coverage*

$(RUNTIME): uv.lock pyproject.toml | check-python $(UV)
	@test -x $(BIN)/python || { echo "Making .venv ..."; $(UV) venv --quiet --python $(PYTHON) .venv; }
	@$(SYNC) --no-dev --group generator $(addprefix --extra ,$(EXTRAS))
	@$(BIN)/python -m compileall -q app generator
	@touch $@

$(DEVELOPMENT): $(RUNTIME)
	@$(SYNC)
	@touch $@

.uv/bin/uv: | check-python
	@echo "Getting uv ..."
	@$(PYTHON) -m venv .uv && .uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.PHONY: check-python
check-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Groundwork needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || echo not there)." \
		     "Name another: make $(or $(MAKECMDGOALS),run) PYTHON=python3.12"; exit 1; }
