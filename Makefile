# `make demo` and `make test` set everything up by themselves, in a virtual environment of their own.
#   PYTHON     the interpreter that makes .venv (3.11 or newer):  make demo PYTHON=/usr/bin/python3.12
#   JOBS       test processes at a time
#   PIP_FLAGS  anything more for pip, for example an index of one's own
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
JOBS ?= 2
PIP_FLAGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.deepdive-setup

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format clean

help: ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(STAMP) ## make .venv and install DeepDive with all its extras

# Debian's bare python3 has no ensurepip; pip itself can then fill an environment made without it.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "DeepDive needs Python 3.11 or newer, '$(PYTHON)' is not: run make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || \
		{ $(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python install $(PIP_FLAGS) pip; }
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) --constraint constraints.txt --editable '.[demo,rtl,test,lint]'
	@touch $@

demo: $(STAMP) ## a pretrained network and photographs in, a bit-exact accelerator out
	$(BIN)/deepdive demo

test: lint ## ruff, mypy, and every test
	$(BIN)/python -m pytest -n $(JOBS)

lint: $(STAMP) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP) ## let ruff format and mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove builds and caches; .venv and training runs stay
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
