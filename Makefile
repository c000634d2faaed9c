# Set-up and what to do with a clone: play the demo, run the tests (the quick ones, or all), build the documentation,
# build what is published and play the demo with it. All may be run again. On Windows: GNU make, in Git's bash.
ifeq ($(OS),Windows_NT)
PYTHON ?= python
BIN := .venv/Scripts
else
PYTHON ?= python3
BIN := .venv/bin
endif

.PHONY: demo check test docs build test-installed clean

demo: .venv/installed
	$(BIN)/compete demo-data data
	$(BIN)/compete train-base --all
	$(BIN)/compete stack --leave-one-out
	$(BIN)/compete submit || test $$? -eq 2   # a second `make demo` has nothing new to send
	$(BIN)/compete scores
	$(BIN)/compete report

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q -m "not slow and not browser" -n auto --maxprocesses 4 --dist loadfile

test: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

docs: .venv/installed-dev
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

build: .venv/installed-dev
	rm -rf dist
	$(BIN)/python -m build --no-isolation   # the sdist, and the wheel from it

test-installed: build
	$(BIN)/python tests/play_installed.py dist

.venv/pyvenv.cfg:
	$(PYTHON) -m venv .venv

# __init__.py has the version, which an editable install remembers.
.venv/installed: pyproject.toml src/compete/__init__.py | .venv/pyvenv.cfg
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/installed-dev: pyproject.toml .venv/installed
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv dist data oof submissions report site
