# The two commands of the README, `make demo` and `make test`, need nothing but Python 3.11 or newer and no step before them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# `$(call extra,NAME)`: what that extra names, without building glassmill again.
extra = $(PIP) install --quiet --constraint constraints.txt --requirement <($(BIN)/python -c 'import tomllib; \
  print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["$(1)"], sep="\n")')
SHELL := bash

.PHONY: demo test test-slow check setup ray native clean

demo: setup                       ## the whole line on a small generated web, in the browser
	$(BIN)/glassmill demo

test: $(VENV)/dev                 ## the fast suite, under three minutes
	$(BIN)/python -m pytest

test-slow: $(VENV)/ray            ## what takes minutes: kills over the whole line, real weights, the full demo
	$(BIN)/python -m pytest -m slow -n 0 --durations=30 $(if $(CI),--reruns 1)

check: $(VENV)/dev                ## format, lint, types, import rules, fast suite
	scripts/check

setup: $(VENV)/ready              ## .venv with the pinned dependencies

# torch first and by its exact version: where pip knows a CPU build of it, nothing later pulls in another.
$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "glassmill needs Python 3.11 or newer; $(PYTHON) is `$(PYTHON) --version`. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt torch==2.13.0
	$(PIP) install --quiet --constraint constraints.txt --editable .
	@$(BIN)/python -c 'from glassmill import native; native.available() or print("glassmill: " + native.WITHOUT)'
	@touch $@

$(VENV)/dev: $(VENV)/ready
	$(call extra,dev)
	@touch $@

ray: $(VENV)/ray                 ## the extra that run.executor=ray needs

$(VENV)/ray: $(VENV)/dev
	$(call extra,ray)
	@touch $@

native: $(VENV)/dev              ## the C++ core again, after a change of its sources
	GLASSMILL_NATIVE=strict $(BIN)/python scripts/build_backend.py

clean:
	rm -f src/glassmill/native/_core.*
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
