# Everything a person types. `make` alone lists it. Needs Python 3.11 or newer, make and a C compiler.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
INSTALLED := .venv/.installed
WAREHOUSE ?= builtin
PROCESSES ?= 2

# The checks need settings, never a real installation's.
CHECK_SETTINGS := DJANGO_SETTINGS_MODULE=tests.settings

.DEFAULT_GOAL := help
.PHONY: help install demo test lint bench chaos lock screenshots
.DELETE_ON_ERROR:

help: ## this list
	@echo "make TARGET, where TARGET is one of:"
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

install: $(INSTALLED) ## everything into .venv, again only when the lock file changed

$(INSTALLED): requirements-dev.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer was found. Name one: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

demo: install ## a shop, the hub and a warehouse at work; prints URL and log-in (ARGS=--help shows more)
	@exec $(BIN)/python manage.py demo --warehouse $(WAREHOUSE) $(ARGS)

test: install ## all tests, on SQLite (ARGS="-k words" chooses)
	$(BIN)/pytest -n $(PROCESSES) $(ARGS)

lint: install ## style, types, import rules, migrations, lock files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(CHECK_SETTINGS) $(BIN)/python manage.py makemigrations --check --dry-run
	@if grep -nE 'https?://|file:' requirements*.txt; then echo "Lock files hold no addresses: use 'make lock'."; exit 1; fi

bench: install ## measures against a floor in the same run (ARGS is passed on)
	$(BIN)/python -m benchmarks $(ARGS)

chaos: install ## ten thousand orders through faults and kills, and the count afterwards (ARGS is passed on)
	$(BIN)/python -m tests.chaos $(ARGS)

COMPILE = uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header $(ARGS)

lock: ## makes the lock files anew from requirements*.in; needs uv on PATH (pip install uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv"; exit 1; }
	$(COMPILE) requirements.in -o requirements.txt
	$(COMPILE) -c requirements.txt requirements-dev.in -o requirements-dev.txt
	$(COMPILE) requirements-bench.in -o requirements-bench.txt

screenshots: install ## takes the README's pictures anew from a demo of its own
	$(BIN)/python -m docs.pictures.take
