# Set-up and what to do with a clone: play the demo, run the tests (the quick ones, or all), build the documentation. All may be run again.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo check test docs clean

demo: .venv/installed
	$(BIN)/compete demo-data data
	$(BIN)/compete train-base --all
	$(BIN)/compete stack --worth
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
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile

docs: .venv/installed-dev
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

.venv/bin/python:
	$(PYTHON) -m venv .venv

# __init__.py has the version, which an editable install remembers.
.venv/installed: pyproject.toml src/compete/__init__.py | .venv/bin/python
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/installed-dev: pyproject.toml .venv/installed
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv data oof submissions report site
