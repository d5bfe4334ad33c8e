# Latchpin: what people and the continuous integration run. `make` alone lists the targets.

PYTHON ?= python3
PORT ?= 8080
DIR ?= .demo
# More arguments for pytest or the benchmark, for example: make test ARGS="tests/identity -k revoked"
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
# Stamps say which lock is installed; a changed lock or pyproject.toml installs again.
BASE := $(VENV)/.base
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Locks hold neither an index nor a path of the machine they were made on.
COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --generate-hashes --strip-extras \
	--allow-unsafe --no-emit-options --no-emit-index-url --no-emit-trusted-host --no-emit-find-links

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo demo-clean serve test lint format types imports docs bench check lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(RUNTIME) ## start a server with believable data (PORT=8080 DIR=.demo)
	@exec $(BIN)/latchpin demo --data-dir "$(DIR)" --port "$(PORT)"

demo-clean: ## remove the demo's data (DIR=.demo)
	@if [ -e "$(DIR)" ] && [ ! -e "$(DIR)/demo.json" ]; then \
		echo "$(DIR) holds no demo.json, so it is left alone." >&2; exit 1; fi
	rm -rf -- "$(DIR)"

serve: $(RUNTIME) ## serve the deployment that LATCHPIN_* describes
	@exec $(BIN)/latchpin serve

test: $(DEV) ## run the tests and say what could not be run (ARGS="...")
	$(BIN)/pytest $(ARGS)

lint: $(DEV) ## check style and formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check --quiet

format: $(DEV) ## format the code
	$(BIN)/ruff check --fix --exit-zero --quiet
	$(BIN)/ruff format

types: $(DEV) ## check types, strictly
	$(BIN)/mypy

imports: $(DEV) ## check that imports go one way only
	$(BIN)/lint-imports

docs: $(DEV) ## check that the reference is fresh and links resolve
	$(BIN)/python docs/check.py

bench: $(DEV) ## measure, next to the peers (ARGS="--quick --rows ...")
	$(BIN)/python -m bench $(ARGS)

check: lint types imports docs test ## all that the continuous integration checks

lock: $(DEV) ## pin the dependencies again from requirements/*.in
	$(COMPILE) --output-file requirements/runtime.lock.txt requirements/runtime.in
	$(COMPILE) --constraint requirements/runtime.lock.txt --output-file requirements/dev.lock.txt requirements/dev.in

clean: ## remove the environment and the caches
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BASE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Latchpin needs Python 3.11 or newer, and '$(PYTHON)' is" \
		"$$(command -v $(PYTHON) >/dev/null && $(PYTHON) --version 2>&1 || echo 'not installed')." >&2; \
		echo "Name another one: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
		echo "The virtual environment could not be made; Debian and Ubuntu need the package python3-venv." >&2; \
		exit 1; }
	@touch $@

$(RUNTIME): $(BASE) requirements/runtime.lock.txt pyproject.toml
	@echo "Installing what Latchpin needs into $(VENV) (once)"
	@$(PIP) install --require-hashes -r requirements/runtime.lock.txt
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

$(DEV): $(RUNTIME) requirements/dev.lock.txt
	@echo "Installing the tools for tests and checks into $(VENV) (once)"
	@$(PIP) install --require-hashes -r requirements/dev.lock.txt
	@touch $@
