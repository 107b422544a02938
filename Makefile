# `make demo` and `make test` do all the set-up themselves; `make check` is what CI runs: all
# tests, where `make test` leaves out the slow ones.
# editable_mode=compat: our top-level folders (data, model, …) must win over others on the path.
PYTHON ?= python3
BIN := .venv/bin
# Two processes fill two cores; each more takes 2 GB.
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test test-all check lint wheel clean

demo: .venv/installed
	$(BIN)/python -m infer demo -o out

test: .venv/test-installed
	$(PYTEST) -m "not slow"

test-all: .venv/test-installed
	$(PYTEST)

check: lint test-all wheel

lint: .venv/test-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

wheel: .venv/test-installed
	rm -rf build/wheel && $(BIN)/python -m build --wheel --outdir build/wheel
	$(BIN)/python tests/check_wheel.py build/wheel/*.whl

.venv/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable . --config-settings editable_mode=compat
	touch $@

.venv/test-installed: .venv/installed
	$(BIN)/python -m pip install --quiet --editable '.[test]' --config-settings editable_mode=compat
	touch $@

clean:
	rm -rf .venv build out *.egg-info
