PYTHON ?= python3
BIN := .venv/bin
# A worker a core, each with whole files, for their tests share what is dear; long files first (tests/conftest.py).
PYTEST := $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: card demo docs test test-fast lint serve

demo: .venv/installed
	$(BIN)/python scripts/demo.py

card: .venv/installed
	$(BIN)/python scripts/show_flagship.py

# All tests. Those of the page need a browser, and say first what to install where there is none.
# Launches that are stopped by signals run by themselves: a launcher kills half a minute after its signal.
test: .venv/installed
	$(PYTEST) -m "not alone"
	$(BIN)/python -m pytest -m alone

# The inner loop: all tests of about a second or less; needs no browser.
test-fast: .venv/installed
	$(PYTEST) -m "not slow"

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
