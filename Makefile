# A machine needs Python 3.11 or newer, with pip and venv, and make; everything else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The tests that need neither a network nor a training.
QUICK := $(addprefix tests/,test_rows.py core data dataset decision duplicates evaluation fetching report audit/test_label_issues.py audit/test_learning_curve.py)

.PHONY: help setup check test lint format demo bench bench-learning bench-audit docs soak fuzz clean
help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile

setup: .venv/all  ## create .venv with everything the project needs

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "twofold needs Python 3.11 or newer: make PYTHON=python3.x")'
	$(PYTHON) -m venv .venv

.venv/all: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) '.[all,dev,docs]'
	@touch .venv/all .venv/demo

.venv/demo: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) '.[demo]'
	@touch .venv/demo

lint: .venv/all  ## ruff, mypy, import-linter
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/all  ## format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

check: lint  ## lint, and the tests that need no training: within a minute
	$(BIN)/python -m pytest -q -n auto -m "not slow" $(QUICK)

test: lint  ## lint, then every test, doctest and README example; embedding tests again as on an older processor
	$(BIN)/python -m pytest -n auto --dist loadfile
	ONEDNN_MAX_CPU_ISA=AVX2 $(BIN)/python -m pytest -n auto --dist loadfile tests/embedding tests/networks/test_int8.py tests/bundle/test_storage.py tests/workflows/test_dtype_check.py tests/workflows/test_train.py

demo: .venv/demo  ## train and evaluate on solar cells, from nothing
	$(BIN)/python examples/solar_cells.py

docs: .venv/all  ## the pages, into docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build/html

bench: .venv/all  ## measure; writes bench/RESULTS.md
	$(BIN)/python bench/benchmark.py

bench-learning: .venv/all  ## measure the training of networks, in an hour or two; writes bench/LEARNING.md
	for section in steps memory finetune small; do $(BIN)/python bench/learning.py $$section || exit 1; done

bench-audit: .venv/all  ## measure recall, precision and cost of the audit; writes bench/AUDIT.md
	$(BIN)/python bench/duplicates.py

fuzz: .venv/all  ## damaged files, hostile archives and hostile servers, for half an hour
	$(BIN)/python bench/fuzz.py

soak: .venv/all  ## 50,000 images through two engines, with Ctrl-C in the middle
	$(BIN)/python bench/soak.py

clean:  ## delete what make wrote
	rm -rf .venv build dist docs/_build bench/work .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
