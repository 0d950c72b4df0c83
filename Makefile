PYTHON ?= python3
BIN := .venv/bin

.PHONY: card demo docs test test-fast lint serve

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

# The documentation as a site in build/docs; a link that leads nowhere is an error. Needs no network.
docs: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

serve: .venv/installed
	$(BIN)/python space/app.py

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev,docs,space]"
	touch $@
