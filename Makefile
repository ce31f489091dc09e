# Everything needs only python3 (3.11 or newer; choose one with PYTHON=...) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests in several processes.
BESIDE := -n auto --maxprocesses 4 --dist worksteal
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: run test test-all check bench clean

run: $(VENV)/installed
	@$(BIN)/lth-tui

test: $(VENV)/installed-test
	@$(BIN)/python -m pytest $(BESIDE)

test-all: $(VENV)/installed-test
	@$(BIN)/python -m pytest $(BESIDE) -m "slow or not slow"

check: $(VENV)/installed-test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(VENV)/installed-bench
	@$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "lth-tui needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "making the environment in $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "python3 cannot make environments; on Debian: apt install python3-venv" >&2; exit 1; }

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	@echo "installing (some minutes the first time)" >&2
	@$(PIP) install --editable . >&2
	@touch $@

$(VENV)/installed-%: pyproject.toml | $(VENV)/bin/python
	@echo "installing what $* needs (some minutes the first time)" >&2
	@$(PIP) install --editable '.[$*]' >&2
	@touch $@ $(VENV)/installed
