# `make demo` and `make test` set everything up by themselves: they need Python 3.11 or newer, make, and a package index.
# CI runs these same words (.ci/run). Another Python: make test PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-full check bench proto docs clean models train-default

help:
	@echo "New here? Type: make demo    (sets up a virtual environment, scans a test video, and writes a report of it)"
	@echo
	@echo "  make setup      virtual environment in $(VENV) with everything for development, face models, EfficientNet-Lite0 (19 MB)"
	@echo "  make demo       scan a test video with a faked face, and write a report to out/demo"
	@echo "  make test       the tests (fetches EfficientNet-Lite0's weights first, 19 MB); without real servers, theirs are skipped"
	@echo "  make test-full  the tests with long counts, and memory over 200,000 frames (about an hour)"
	@echo "  make check      lint, format, types, and whether generated code is fresh"
	@echo "  make bench      measure; results go to benchmarks/results"
	@echo "  make train-default DATA=...  train, test and calibrate the bundle that comes along, in out/default (about two hours)"
	@echo "  make proto      write streamguard/v1 from proto/ anew"
	@echo "  make docs       take the pictures in docs/ anew (needs Chromium), and check that the docs link to what exists"
	@echo "  make clean      remove the virtual environment and everything that was built"

setup: $(VENV)/.stamp-test models
	$(BIN)/streamguard models pull lite0-imagenet

demo: $(VENV)/.stamp-demo models
	$(BIN)/streamguard demo --out out/demo

test: setup
	$(BIN)/python -m pytest -q

test-full: setup
	$(BIN)/python -m pytest -q -m "full or not full"
	$(BIN)/python benchmarks/soak.py --frames 200000 --out benchmarks/results/soak.json
	$(BIN)/python benchmarks/readme.py

check: $(VENV)/.stamp-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python proto/generate.py --check
	$(BIN)/python benchmarks/readme.py --check
	$(BIN)/python benchmarks/model_card.py --check

# One file a question. common.py is what they share, soak.py takes too long for here, development.py,
# default_*.py and shortcuts_pairs.py want footage, model_card.py and readme.py write what was found.
NOT_HERE := $(patsubst %,benchmarks/%.py,common soak development default_again default_conditions shortcuts_pairs \
  model_card readme)
bench: setup
	set -e; for file in $(filter-out $(NOT_HERE),$(wildcard benchmarks/*.py)); do $(BIN)/python $$file; done
	$(BIN)/python benchmarks/readme.py

# Footage as `streamguard data prepare` takes it. Stopped and started again it goes on.
DATA ?= ../shared/data
train-default: setup
	$(BIN)/python export/train_default.py --data $(DATA)

proto: $(VENV)/.stamp-test
	$(BIN)/python proto/generate.py

docs: setup
	STREAMGUARD_WRITE_DOCS=1 $(BIN)/python -m pytest -q tests/real/test_docs_pictures.py
	$(BIN)/python -m pytest -q tests/cli/test_docs.py tests/test_repo.py -k docs

clean:
	rm -rf $(VENV) out build dist .pytest_cache .mypy_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The face models, and the portrait that demo and tests look at. Asks nobody when they are here.
models: $(VENV)/.stamp-demo
	$(BIN)/streamguard models pull
	$(BIN)/streamguard models pull portrait

# Where the environment itself is made: its own stamp, so that a half-made one is made again.
$(VENV)/.stamp-venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "StreamGuard needs Python 3.11 or newer; $(PYTHON) is not. Name another: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "This Python cannot make virtual environments. On Debian and Ubuntu: sudo apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.stamp-demo: pyproject.toml $(VENV)/.stamp-venv
	$(PIP) -e .
	@touch $@

$(VENV)/.stamp-test: pyproject.toml $(VENV)/.stamp-demo
	$(PIP) -e '.[test]'
	@touch $@
