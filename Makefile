PYTHON ?= python3
BIN := .venv/bin

.PHONY: card demo test test-fast lint serve

demo: .venv/installed
	$(BIN)/python scripts/demo.py

card: .venv/installed
	$(BIN)/python scripts/show_flagship.py

# All tests. Those of the page need a browser, and say first what to install where there is none.
test: .venv/installed
	$(BIN)/python -m pytest

# The inner loop: all tests of about ten seconds or less; needs no browser.
test-fast: .venv/installed
	$(BIN)/python -m pytest -m "not slow"

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/ty check benchmarks examples hf_deepfake scripts space
	$(BIN)/pydoclint benchmarks examples hf_deepfake scripts space

serve: .venv/installed
	$(BIN)/python space/app.py

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev,space]"
	touch $@
