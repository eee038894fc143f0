# Everything there is to do here. On a fresh machine: Python 3.11 or later and make, nothing else.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
# Tests wait for databases and sockets now and then: one worker more than there are cores.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
DEVICES ?= 3000
PORT ?= 3000

.DEFAULT_GOAL := help
.PHONY: help run test check lint types imports fmt migrate revision lock ui ui-check bench screenshots pictures clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.runtime ## start the sandbox: the bot between stand-ins for Slack and Apple (PORT=3000 DEVICES=3000 FRESH=1)
	@$(PY) -m bot.sandbox --port $(PORT) --devices $(DEVICES) $(if $(FRESH),--fresh)

test: $(VENV)/.dev ## run every test
	@$(PY) -m pytest -n $(WORKERS) --dist worksteal

check: lint types imports ui-check test ## what has to hold before anything lands

lint: $(VENV)/.dev ## look for faults and for formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.dev ## check the types
	@$(BIN)/mypy

imports: $(VENV)/.dev ## check that rooms import in one direction
	@$(BIN)/lint-imports

fmt: $(VENV)/.dev ## format, and mend what can be mended by itself
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

migrate: $(VENV)/.runtime ## bring the database at ENROLLBOT_DATABASE_URL up to date
	@$(PY) -m bot db migrate

revision: $(VENV)/.dev ## write a migration from the models (m="what changes")
	@$(PY) -m bot db revision "$(m)"

lock: $(VENV)/.dev ## pin every dependency anew, with hashes
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-strip-extras --upgrade pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-strip-extras --upgrade --extra dev pyproject.toml -o requirements-dev.lock

ui: ## build the sandbox's page (needs Node 20)
	@command -v npm >/dev/null || { echo "make ui needs Node.js 20 or later with npm." >&2; exit 1; }
	@cd bot/sandbox/ui && npm ci --silent && npm run --silent build

ui-check: $(VENV)/.dev ## tell whether the built page is older than its sources
	@$(PY) bot/sandbox/ui/stale.py

bench: $(VENV)/.dev ## measure the sync and an assignment beside their references, and the page; prints figures, never fails
	@$(PY) -m tests.bench

screenshots: $(VENV)/.dev ## draw the pictures of the documentation anew (needs Chromium)
	@$(PY) -m tests.screenshots

pictures: $(VENV)/.dev ## draw the pictures anew that the page is compared with (needs Chromium)
	@PICTURES=write $(PY) -m pytest -q -p no:randomly tests/sandbox/test_pictures.py

clean: ## remove what was built or installed here
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache bot/sandbox/ui/node_modules

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "enrollbot needs Python 3.11 or later as '$(PYTHON)'; name another with make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "enrollbot needs Python's venv module; on Debian: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.runtime: $(VENV)/pyvenv.cfg requirements.lock
	@echo "Installing what enrollbot needs into $(VENV) (once, about a minute)."
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock || { echo "Installing failed: see above what pip said; it needs a package index that it can reach." >&2; exit 1; }
	@touch $@

$(VENV)/.dev: $(VENV)/pyvenv.cfg requirements-dev.lock
	@echo "Installing what enrollbot's tests and checks need into $(VENV) (once, about a minute)."
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock || { echo "Installing failed: see above what pip said; it needs a package index that it can reach." >&2; exit 1; }
	@touch $(VENV)/.runtime $@
