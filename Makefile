# `make run` and `make test` work on a bare machine: each makes the environment first if it is not there.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: run serve test test-slow bench lint types format clean-env

run: $(STAMP)
	@$(BIN)/transferline run $(ARGS)

# exec: Ctrl-C reaches it, and it ends what it has started
serve: $(STAMP)
	@exec $(BIN)/transferline serve $(ARGS)

# two at a time, a file as a whole: most of the time is spent waiting for processes to start
test: $(STAMP) lint types
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

test-slow: $(STAMP)
	@$(BIN)/python -m pytest -m slow $(ARGS)

# by hand, on a machine that does nothing else: about half an hour; benchmarks/README.md keeps what was measured
bench: $(STAMP)
	@for what in pretraining finetuning features corpora line sizes; do $(BIN)/python -m benchmarks.speed.$$what || exit 1; done

lint: $(STAMP)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(STAMP)
	@$(BIN)/mypy

format: $(STAMP)
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

# torch goes first and alone, with its exact version: that lets a local CPU build be found where there is one.
$(STAMP): pyproject.toml constraints.txt
	@echo "Making the environment in .venv (some minutes, once) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check torch==$$(sed -n 's/^torch==//p' constraints.txt)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

clean-env:
	rm -rf .venv
