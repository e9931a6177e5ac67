# The commands of the project; `make` lists them. Needs python3 (3.11 to 3.13), git and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# DVC's stages say `python`: they must find this environment's first.
RUN := PATH="$(CURDIR)/$(BIN):$$PATH"
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Says in one line what DVC, which reads the data's folder before any stage, would tell as its own fault.
LOOK = @$(RUN) python -m foldwise.app.prepare --look
# By uv, checked against the lock's hashes, else by pip; it says which.
INSTALL := $(BIN)/python tools/install.py
SOURCES := $(wildcard src tests benchmarks validation docs tools)
UV_VERSION := 0.13.9

# Stamps, so that a second `make` has nothing to do.
MADE := $(VENV)/made
UV := $(VENV)/uv.stamp
RUNTIME := $(VENV)/runtime.stamp
DEV := $(VENV)/dev.stamp
BENCH := $(VENV)/bench.stamp
PACKAGE := $(VENV)/package.stamp

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Two installs at once into one environment spoil it.
.NOTPARALLEL:
.PHONY: help install dev repro classifiers ui test check format summary soak mutants bench gpu bench-check calibrate site docs screenshots lock hook clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: $(RUNTIME) $(PACKAGE) ## the environment in .venv, as locked: what a run needs
dev: $(DEV) $(PACKAGE) ## the same, and what development needs

repro: install ## reproduce the pipeline: prepare, tune, evaluate; show the result
	$(LOOK)
	$(RUN) dvc repro
	@$(RUN) foldwise show

# Which of them each fold would choose, on a sample: an experiment, whose runs lie beside the others.
CANDIDATES := -S prepare.limit=2000 -S tune.trials=6 -S 'tune.candidates=[svm,knn,decision_tree]'

classifiers: install ## reproduce the comparison with other classifiers
	$(LOOK)
	$(RUN) dvc repro prepare
	$(RUN) dvc --cd comparison repro
	$(RUN) dvc exp run --temp $(CANDIDATES) tune

ui: install ## show the runs in the browser
	$(RUN) foldwise ui

# Most tests wait for one process or another: two at a time, those together that share much.
WORKERS ?= 2

test: check ## check, then every test but the soak
	$(RUN) python -m pytest -n $(WORKERS) --durations=10

check: dev ## format, lint, types and import contracts
	$(RUN) ruff format --check $(SOURCES)
	$(RUN) ruff check $(SOURCES)
	$(RUN) mypy $(SOURCES)
	$(RUN) lint-imports --no-logo
	$(RUN) check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml

format: dev ## put the code in form, mend what ruff can mend
	$(RUN) ruff check --fix $(SOURCES)
	$(RUN) ruff format $(SOURCES)

soak: dev ## the long tests: load, kills, full disks
	$(RUN) python -m pytest -m soak

mutants: dev ## seed faults, each of which a test must catch; FAULTS="ID ..." for some
	$(RUN) python -m tests.mutants.run $(FAULTS)

# The commit that figures are compared with.
BASE ?= HEAD~1

summary: install ## metrics and search as against BASE, and the comparison of classifiers, as Markdown
	@echo "## Metrics since $(BASE)"
	@$(RUN) dvc metrics diff --all --md $(BASE)
	@echo "## Search against that of $(BASE)"
	@if told="$$($(RUN) foldwise compare $(BASE) HEAD 2>&1)"; then \
	    printf '```\n%s\n```\n' "$$told"; \
	else printf 'Not compared: %s\n' "$$(printf '%s' "$$told" | tail -n 1)"; fi
	@echo "## Classifiers"
	@$(RUN) python -c 'from docs.fill import models; print(models())'

bench: $(BENCH) $(PACKAGE) ## time the nested search against scikit-learn's
	$(RUN) python -m benchmarks.nested
	$(RUN) python -m benchmarks.filters
	$(RUN) python -m benchmarks.tables

# Its own modules, numpy, scipy, scikit-learn and torch are all it needs: GPU machines often install nothing.
gpu: ## check and measure the GPU engine, where there is a GPU; PYTHON=... names the one with torch
	@if $(PYTHON) -c 'import numpy, scipy, sklearn' 2> /dev/null; then \
	    PYTHONPATH=src $(PYTHON) -m benchmarks.gpu; \
	else echo "skipped: numpy, scipy and scikit-learn must be there, $(PYTHON) lacks one: name another by PYTHON=..."; fi

bench-check: dev ## test the benchmarks and the validation, in minutes
	$(RUN) python -m pytest -m bench

calibrate: $(BENCH) $(PACKAGE) ## measure what the documented figures rest on
	$(RUN) python -m validation.calibrate
	$(RUN) python -m validation.choice

site: dev ## the documentation as a site, in build/site; ends badly on a broken link
	$(RUN) python -m sphinx --quiet --fail-on-warning --keep-going -b html docs build/site

docs: dev ## write the generated sections of README and docs
	$(RUN) python -m docs.fill

screenshots: dev ## take the documentation's pictures anew; needs Chromium and a `make repro` before
	$(RUN) python -m docs.screenshots

hook: dev ## check before each commit
	@hook="$$(git rev-parse --git-path hooks)/pre-commit"; \
	test ! -e "$$hook" || { echo "$$hook exists: add the line 'make check' to it" >&2; exit 1; }; \
	printf '#!/bin/sh\nexec make check\n' > "$$hook" && chmod +x "$$hook"

clean: ## remove the environment and the tools' caches; results and stores stay
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache src/*.egg-info

$(MADE):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
	    echo "foldwise needs Python 3.11 to 3.13; $(PYTHON) is $$($(PYTHON) --version 2>&1):" \
	         "name another, as in make PYTHON=python3.12" >&2; exit 1; }
	@echo "1 of 4: $(VENV), an environment of $$($(PYTHON) --version 2>&1)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(UV): requirements-uv.lock | $(MADE)
	@echo "2 of 4: uv $(UV_VERSION), which installs the rest, by pip"
	@$(PIP) install --quiet --only-binary :all: --require-hashes --requirement $< || \
	    echo "uv cannot be had here, see above: pip installs all, which takes longer"
	@touch $@

$(RUNTIME): requirements.lock | $(UV)
	@echo "3 of 4: what a run needs"
	@$(INSTALL) $<
	@touch $@

# Holds the runtime lock's versions too, so either order of installing ends in the same place.
$(DEV): requirements-dev.lock requirements.lock | $(UV)
	@echo "3 of 4: what a run and development need"
	@$(INSTALL) $<
	@touch $@ $(RUNTIME)

$(BENCH): requirements-bench.lock requirements.lock | $(UV)
	@$(INSTALL) $<
	@touch $@ $(RUNTIME)

# Built with the locked setuptools: nothing is fetched that has no hash.
$(PACKAGE): pyproject.toml src/foldwise/__init__.py | $(RUNTIME)
	@echo "4 of 4: foldwise itself"
	@$(INSTALL) .
	@touch $@

# One resolution for all Pythons and platforms. Versions stay unless pyproject.toml rules them out;
# UPGRADE=1 takes the newest. No index is named: a lock holds on any mirror.
RESOLVE = $(VENV)/lock/bin/uv pip compile --quiet --no-config --universal --python-version 3.11 \
    --fork-strategy fewest --generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
    --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)
COMPILE = $(RESOLVE) --group build --extra workflow pyproject.toml

lock: $(MADE) ## resolve the locks anew after editing pyproject.toml; UPGRADE=1 for newer versions
	$(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	echo uv==$(UV_VERSION) | $(RESOLVE) --output-file requirements-uv.lock -
	$(COMPILE) --output-file requirements.lock
	$(COMPILE) --constraint requirements.lock --extra dev --extra dask --extra postgres --output-file requirements-dev.lock
	$(COMPILE) --constraint requirements.lock --extra bench --output-file requirements-bench.lock
