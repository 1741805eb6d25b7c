# Everything a newcomer or CI needs. Each target installs what it needs into .venv and
# says so; a second call does only what is still missing.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
# .venv-train is apart because the TFLite converter weighs 2 GB and pins what it pulls in.
TRAIN_VENV ?= .venv-train
TRAIN_BIN  := $(TRAIN_VENV)/bin
# Where training keeps checkpoints, metrics and the half-finished package; `make train` resumes from it.
RUNS ?= runs
DEMO_ARGS ?=
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test check format train bench clean
.DELETE_ON_ERROR:

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "plethprint needs Python 3.10 or newer; name one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "==> making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "python could not make a virtual environment (on Debian: apt install python3-venv)" >&2; exit 1; }
	@touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml
	@echo "==> installing plethprint[sim] into $(VENV) (no torch)"
	@$(PIP) install --editable '.[sim]'
	@touch $@

$(VENV)/.test: $(VENV)/.made pyproject.toml
	@echo "==> installing plethprint[test] into $(VENV) (torch for CPU, pytest; a few minutes)"
	@$(PIP) install --editable '.[test]'
	@touch $@ $(VENV)/.demo

$(VENV)/.dev: $(VENV)/.test
	@echo "==> installing plethprint[dev] into $(VENV) (ruff, mypy)"
	@$(PIP) install --editable '.[dev]'
	@touch $@

demo: $(VENV)/.demo  ## run the live demo: virtual wearable -> Bluetooth -> fingerprints
	@$(BIN)/plethprint demo $(DEMO_ARGS)

test: $(VENV)/.test  ## run the default test suite
	@echo "==> pytest"
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/.dev  ## ruff (lint, format) and mypy --strict
	@echo "==> ruff check"
	@$(BIN)/ruff check .
	@echo "==> ruff format --check"
	@$(BIN)/ruff format --check .
	@echo "==> mypy --strict"
	@$(BIN)/mypy

format: $(VENV)/.dev  ## let ruff mend what it can
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

bench: $(VENV)/.demo  ## time preprocessing, every installed runtime and the virtual wearer
	@$(BIN)/plethprint bench

$(TRAIN_VENV)/.train: pyproject.toml
	@test -x $(TRAIN_BIN)/python || { echo "==> making $(TRAIN_VENV)"; $(PYTHON) -m venv $(TRAIN_VENV); }
	@echo "==> installing plethprint[train,tflite,sim,litert] into $(TRAIN_VENV) (torch, about 3 GB)"
	@$(TRAIN_BIN)/python -m pip --disable-pip-version-check --quiet install --editable '.[train,tflite,sim,litert]'
	@touch $@

train: $(TRAIN_VENV)/.train  ## train and quantise the shipped package (hours; resumes)
	@echo "==> teacher"
	@$(TRAIN_BIN)/python -m plethprint_distill pretrain --out $(RUNS)/teacher --resume
	@echo "==> student"
	@$(TRAIN_BIN)/python -m plethprint_distill distill --teacher $(RUNS)/teacher --out $(RUNS)/student --resume
	@echo "==> int8 package"
	@$(TRAIN_BIN)/python -m plethprint_quantize --student $(RUNS)/student --out $(RUNS)/package

clean:  ## remove environments and caches; training runs stay
	@echo "==> removing $(VENV), build products and caches (runs/ and $(TRAIN_VENV) stay)"
	@rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find sdk device_sim distill quantize tests -name __pycache__ -type d -prune -exec rm -rf {} +
