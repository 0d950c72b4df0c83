PYTHON ?= python3
BIN := .venv/bin

.PHONY: card demo test lint serve

demo: .venv/installed
	$(BIN)/python scripts/demo.py

card: demo
	cp runs/demo/checkpoint/report.json docs/demo_report.json
	$(BIN)/python -c "from hf_deepfake import *; print(build_card(Report.load('docs/demo_report.json')), end='')" > model_card.md

test: .venv/installed
	$(BIN)/python -m pytest

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/ty check examples hf_deepfake scripts space
	$(BIN)/pydoclint examples hf_deepfake scripts space

serve: .venv/installed
	@test -n "$$HF_DEEPFAKE_CHECKPOINT" -o -d runs/demo/checkpoint || $(MAKE) demo
	$(BIN)/python space/app.py

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev,space]"
	touch $@
