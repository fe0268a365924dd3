# mixflow from the command line. `make` alone lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules

PYTHON ?= python3
CORES ?= $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() or 1, 8))')
VENV := .venv
BIN := $(VENV)/bin
# Debian's Python may come without venv's pip: then the pip of PYTHON serves.
PIP = $$([ -x $(BIN)/pip ] && echo "$(BIN)/python -m pip" || echo "$(PYTHON) -m pip --python $(BIN)/python")
# Wheels only, so that no compiler is ever called; connection-pool is pure Python without a wheel.
PIP_FLAGS := -qq --disable-pip-version-check --only-binary :all: --no-binary connection-pool
PYTEST_ARGS ?=
UV_ARGS ?=
DEMO := alzheimer-csf

.PHONY: help demo test test-slurm grid faults coverage lint bench bench-cases calibration size lock clean env sweep

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

env: $(VENV)/.package ## make the environment in .venv (once; the other targets do it themselves)

# The stamp is written last: an interrupted installation starts again from nothing.
$(VENV)/.locked: requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; ok = (3, 11) <= v < (3, 14); \
	  ok or sys.exit("mixflow needs Python 3.11, 3.12 or 3.13; %s is %d.%d. Say which: make PYTHON=python3.12 ..." \
	  % (sys.executable, v[0], v[1]))'
	@echo "Making the environment in $(VENV) (once; 1 to 4 minutes) ..."
	@$(PYTHON) -m venv --clear $(VENV) >/dev/null 2>&1 || $(PYTHON) -m venv --clear --without-pip $(VENV)
	@$(PIP) install $(PIP_FLAGS) --no-deps --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.package: $(VENV)/.locked pyproject.toml
	@$(PIP) install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: env ## run mixflow on the embedded study and say where its report is
	@$(BIN)/mixflow run config/config.yaml --cores $(CORES)

test: env ## run the tests but the grid (PYTEST_ARGS="-k name" for some)
	@$(BIN)/python -m pytest -q -n $(CORES) --dist loadfile --no-loadscope-reorder -m "not grid and not faults and not slurm" $(PYTEST_ARGS)

# Each model is compiled for one small fit: optimising its code would cost more than it saves.
grid: export XLA_FLAGS ?= --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true
grid: env ## run what compiles a model for one comparison, mostly beside R
	@$(BIN)/python -m pytest -q -n $(CORES) --dist loadfile --no-loadscope-reorder --timeout 900 tests -m grid $(PYTEST_ARGS)

faults: export MIXFLOW_FAULTS_TABLE ?= docs
faults: env ## inject faults into a running study and write docs/faults.md (root for full disks and Slurm; 25 minutes)
	@$(BIN)/python -m tests.slurm.install
	@$(BIN)/python -m pytest -v -p no:xdist -o tmp_path_retention_policy=failed -m faults tests/faults $(PYTEST_ARGS)

test-slurm: env ## run the embedded study through a one-node Slurm started for it (root; installs Slurm by apt)
	@$(BIN)/python -m tests.slurm.install
	@$(BIN)/python -m pytest -q -m slurm tests/slurm $(PYTEST_ARGS)

coverage: env ## run all tests and say which lines they never reach
	@$(BIN)/python -m pytest -q -n $(CORES) --dist loadfile --no-loadscope-reorder -m "not faults" --cov --cov-report=term-missing:skip-covered $(PYTEST_ARGS)

lint: env ## ruff, pyright, snakefmt, snakemake --lint, import layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright --pythonpath $(BIN)/python
	@$(BIN)/snakefmt --check Snakefile workflow workflows
	@$(BIN)/snakemake --lint
	@$(BIN)/lint-imports

bench: env ## measure the speed against lmerTest on two calm cores (needs R with lmerTest)
	@$(BIN)/snakemake --snakefile workflows/benchmark/Snakefile --cores 2 --forceall --quiet rules progress

bench-cases: env ## measure every model beside its peers (needs R with lmerTest, pbkrtest, nlme, limma, glmmTMB, ordinal)
	@$(BIN)/snakemake --snakefile workflows/benchmark/cases/Snakefile --cores 2 --forceall --quiet rules progress

sweep: env ## run 200 combinations of choices on the embedded study and compare them (docs/sweeps.md)
	@$(BIN)/mixflow run config/sweeps/alzheimer-csf.yaml --cores $(CORES)

calibration: env ## count how often each test rejects true null hypotheses, beside lmerTest and pbkrtest (needs R)
	@$(BIN)/snakemake --snakefile workflows/calibration/Snakefile --cores $(CORES) --quiet rules progress

size: env ## simulate 10,000 to 100,000 features and measure the whole workflow (20 to 30 minutes on two calm cores; Chromium)
	@echo "Three studies of 10,000, 30,000 and 100,000 features, one of them in 7 cuts: 20 to 30 minutes on two calm cores ..."
	@$(BIN)/snakemake --snakefile workflows/size/Snakefile --cores 2 --forceall --quiet rules progress

lock: ## renew requirements.lock from pyproject.toml (needs uv; UV_ARGS="--upgrade-package NAME")
	@uv pip compile pyproject.toml --extra test --extra dev --extra slurm --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --quiet \
	  $(UV_ARGS) --output-file requirements.lock

clean: ## remove the environment, the embedded study's outputs and caches
	@rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .coverage htmlcov build dist
	@rm -rf results/$(DEMO) logs/$(DEMO) benchmarks/$(DEMO)
