# `make run` and `make test` work on a fresh machine: the first call creates the environment.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: run serve test test-slow bench lint types format hashes release clean-env

run: $(STAMP)
	@$(BIN)/transferline run $(ARGS)

# exec passes Ctrl-C to the command, which then stops every process it started
serve: $(STAMP)
	@exec $(BIN)/transferline serve $(ARGS)

# Two workers, one file at a time for each. The tests spend most of their time waiting for processes to start.
test: $(STAMP) lint types
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

test-slow: $(STAMP)
	@$(BIN)/python -m pytest -m slow $(ARGS)

# Run by hand on an idle machine. It takes about half an hour. benchmarks/README.md has the results.
bench: $(STAMP)
	@for what in pretraining finetuning features corpora line sizes; do $(BIN)/python -m benchmarks.speed.$$what || exit 1; done

lint: $(STAMP)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(STAMP)
	@$(BIN)/mypy

format: $(STAMP)
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

# The pins with the SHA-256 of every file of each release. Needs `pip install '.[release]'`, as does `release`.
hashes: $(STAMP)
	@$(BIN)/uv pip compile constraints.txt --no-deps --generate-hashes --no-header --no-annotate --quiet \
		--python-version 3.11 -o constraints.hashed.txt

# Wheel, sdist and the bill of materials of the pinned set, in dist/. docs/releasing.md has the steps before and after.
release: $(STAMP)
	@rm -rf dist
	@$(BIN)/python -m build --outdir dist .
	@$(BIN)/cyclonedx-py requirements constraints.hashed.txt --pyproject pyproject.toml --mc-type library \
		--output-reproducible -o dist/transferline.cdx.json
	@cd dist && sha256sum * > SHA256SUMS

# Install torch first and alone, at its exact version, so that pip can use a local CPU build of that version.
$(STAMP): pyproject.toml constraints.txt
	@echo "Making the environment in .venv (some minutes, once) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check torch==$$(sed -n 's/^torch==//p' constraints.txt)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

clean-env:
	rm -rf .venv
