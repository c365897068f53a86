# Everything here sets itself up: it needs git, make and Python 3.11 or newer (PYTHON=python3.12
# for another than python3), and no root, uv or cluster.
PYTHON ?= python3
BIN := .venv/bin
export UV_PYTHON_DOWNLOADS := never

.PHONY: help demo test lint
help:
	@echo "make demo   generate a project from example answers, test it and run a flow"
	@echo "make test   every test that needs no cluster"
	@echo "make lint   format and check this repository"

$(BIN)/ready: pyproject.toml uv.lock
	@echo "Setting up .venv with $$($(PYTHON) --version) …"
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv sync --quiet --frozen --inexact
	@touch $@

demo: $(BIN)/ready
	@$(BIN)/python tests/demo.py

test: $(BIN)/ready lint
	$(BIN)/pytest

lint: $(BIN)/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
