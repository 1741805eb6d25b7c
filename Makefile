# Everything a newcomer or CI needs. Each target installs what it needs into .venv and
# says so; a second call does only what is still missing.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -qq
# .venv-train is apart because the TFLite converter weighs 2 GB and pins what it pulls in.
TRAIN_VENV ?= .venv-train
TRAIN_BIN  := $(TRAIN_VENV)/bin
# Where training keeps checkpoints, metrics and the half-finished package; `make train` resumes from it.
RUNS ?= runs
# Folder of the public corpora's folders; what is missing in it is left out and said so.
DATA ?= ../shared/data
DISTILL   = $(TRAIN_BIN)/python -m plethprint_distill
QUANTIZE  = $(TRAIN_BIN)/python -m plethprint_quantize
TEACHER_PACKAGE = m2ae-small_v2
STUDENT_PACKAGE = plethprint-micro_v2
MODELS    = --windows-dir $(RUNS)/windows --teacher $(RUNS)/teacher/teacher.npz --student $(RUNS)/student
# Processes of the teacher's training, a core or a GPU each; empty: as many as there are.
TRAIN_PROCESSES ?=
READ_PROCESSES = $(TRAIN_BIN)/python -c 'from plethprint_distill.compute import processes_here; print(processes_here())'
# A step allocates and frees half a gigabyte: kept in huge pages it is 6 % faster (glibc only).
KEEP_PAGES = GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4000000000:glibc.malloc.trim_threshold=8000000000
PRETRAIN = OMP_NUM_THREADS=1 $(KEEP_PAGES) $(TRAIN_BIN)/torchrun --standalone --nproc_per_node $$processes -m plethprint_distill pretrain
READ_ID   = $(TRAIN_BIN)/python -c 'import json, sys; print(json.load(open(sys.argv[1]))["model"])'
READ_KEY  = $(TRAIN_BIN)/python -c 'import json; from plethprint import signature as s; print(json.dumps([s.public_key_hex(s.load_or_create_signing_key())]))'
PREPARE_ARGS ?=
PRETRAIN_ARGS ?=
DISTILL_ARGS  ?=
DEMO_ARGS ?=
SOAK_ARGS ?=
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test check format picture train train-mini bench soak firmware-test clean
.DELETE_ON_ERROR:

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

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

picture: $(VENV)/.demo  ## draw docs/demo.svg, the README's picture, from a real run
	@$(BIN)/plethprint demo --virtual-time --svg docs/demo.svg $(DEMO_ARGS) > /dev/null
	@echo "drew docs/demo.svg"

# The peer is made by the converters of the training environment, which is not made for it.
bench: $(VENV)/.demo  ## time every box and runtime; beside a published encoder where `make train` was
	@if test -x $(TRAIN_BIN)/plethprint; then $(TRAIN_BIN)/plethprint bench --peer; else \
	  $(BIN)/plethprint bench; echo "the comparison with a published encoder needs $(TRAIN_VENV): make $(TRAIN_VENV)/.train"; fi

# Compilers and emulators come from Debian, and only what is missing is fetched. Without
# apt-get the tests of what is missing are skipped, and say so.
FIRMWARE_TOOLS := arm-none-eabi-gcc:gcc-arm-none-eabi arm-none-eabi-gcc:libnewlib-arm-none-eabi \
  qemu-system-arm:qemu-system-arm riscv64-unknown-elf-gcc:gcc-riscv64-unknown-elf \
  riscv64-unknown-elf-gcc:picolibc-riscv64-unknown-elf qemu-system-riscv32:qemu-system-misc \
  clang:clang gcc:gcc
FIRMWARE_OUT ?= build/firmware
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

firmware-test: $(VENV)/.test  ## build the firmware pack, run it natively and on emulated cores
	@missing=""; for pair in $(FIRMWARE_TOOLS); do \
	  command -v $${pair%%:*} >/dev/null 2>&1 || missing="$$missing $${pair##*:}"; done; \
	if [ -n "$$missing" ] && command -v apt-get >/dev/null 2>&1; then \
	  echo "==> installing$$missing (a few hundred MB on disk)"; \
	  $(SUDO) apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	elif [ -n "$$missing" ]; then echo "==> not here, their tests are skipped:$$missing"; fi
	@echo "==> tests of the pack, native and on emulated cores"
	@$(BIN)/python -m pytest tests/quantize/firmware_pack tests/quantize/firmware_signal -m "slow or not slow" $(PYTEST_ARGS)
	@echo "==> firmware pack -> $(FIRMWARE_OUT), and what it costs"
	@$(BIN)/plethprint firmware --out $(FIRMWARE_OUT)
	@$(BIN)/python -m plethprint_quantize.firmware.measure --pack $(FIRMWARE_OUT)

soak: $(VENV)/.demo  ## put every wearable through every fault, 60 virtual minutes each
	@$(BIN)/plethprint soak $(SOAK_ARGS)

$(TRAIN_VENV)/.train: pyproject.toml
	@test -x $(TRAIN_BIN)/python || { echo "==> making $(TRAIN_VENV)"; $(PYTHON) -m venv $(TRAIN_VENV); }
	@echo "==> installing plethprint[train,tflite,sim,litert] into $(TRAIN_VENV) (torch, about 3 GB)"
	@$(TRAIN_BIN)/python -m pip --disable-pip-version-check -qq install --editable '.[train,tflite,sim,litert]'
	@touch $@

# Each step goes on where it stopped: prepared corpora stay, training resumes from its last
# checkpoint. Both are packaged twice: their cards tell the figures of the int8 model.
train: $(TRAIN_VENV)/.train  ## train and quantise the shipped package (hours; resumes)
	@test -d $(DATA) || echo "no folder $(DATA): training on virtual wearers alone (DATA=folder of corpora)"
	@echo "==> windows of the corpora and of virtual wearers -> $(RUNS)/windows"
	@$(DISTILL) prepare --data $(DATA) --out $(RUNS)/windows $(PREPARE_ARGS)
	@echo "==> teacher -> $(RUNS)/teacher"
	@set -e; processes="$(TRAIN_PROCESSES)"; test -n "$$processes" || processes=$$($(READ_PROCESSES)); \
	  $(PRETRAIN) --windows-dir $(RUNS)/windows --out $(RUNS)/teacher $(PRETRAIN_ARGS)
	@echo "==> student -> $(RUNS)/student"
	@$(DISTILL) distill --windows-dir $(RUNS)/windows --teacher $(RUNS)/teacher/teacher.npz --out $(RUNS)/student $(DISTILL_ARGS)
	@echo "==> int8 student and float teacher -> $(RUNS)/models"
	@$(DISTILL) handover $(MODELS)
	@$(QUANTIZE) --student $(RUNS)/student --out $(RUNS)/models/$(STUDENT_PACKAGE) --json > $(RUNS)/student.json
	@$(QUANTIZE) --teacher $(RUNS)/teacher --about $(RUNS)/student/about.json --name m2ae-small --out $(RUNS)/models/$(TEACHER_PACKAGE) --json > $(RUNS)/teacher.json
	@echo "==> figures on people held out, and the packages once more with them in their cards"
	@$(DISTILL) evaluate $(MODELS) --teacher-id "$$($(READ_ID) $(RUNS)/teacher.json)" --onnx $(RUNS)/models/$(STUDENT_PACKAGE)/encoder.onnx > $(RUNS)/figures.json
	@$(QUANTIZE) --teacher $(RUNS)/teacher --about $(RUNS)/student/about.json --name m2ae-small --out $(RUNS)/models/$(TEACHER_PACKAGE) --json > $(RUNS)/teacher.json
	@$(QUANTIZE) --student $(RUNS)/student --out $(RUNS)/models/$(STUDENT_PACKAGE) --json > $(RUNS)/student.json
	@$(READ_KEY) > $(RUNS)/trusted_keys.json
	@if test -n "$$(ls -A $(DATA) 2>/dev/null)"; then set -e; \
	  echo "==> every task beside rivals -> $(RUNS)/results.json, and both cards with its tables"; \
	  PLETHPRINT_TRUSTED_KEYS=$(RUNS)/trusted_keys.json $(DISTILL) benchmark --package $(RUNS)/models/$(STUDENT_PACKAGE) --teacher $(RUNS)/teacher/teacher.npz --student $(RUNS)/student --corpus $(DATA) --cache $(RUNS)/evaluation --markdown $(RUNS)/results.md --json > $(RUNS)/results.json; \
	  $(DISTILL) handover $(MODELS) --figures $(RUNS)/figures.json --teacher-id "$$($(READ_ID) $(RUNS)/teacher.json)" --benchmark $(RUNS)/results.json > /dev/null; \
	  $(QUANTIZE) --teacher $(RUNS)/teacher --about $(RUNS)/student/about.json --name m2ae-small --out $(RUNS)/models/$(TEACHER_PACKAGE) --json > $(RUNS)/teacher.json; \
	  $(QUANTIZE) --student $(RUNS)/student --out $(RUNS)/models/$(STUDENT_PACKAGE) --json > $(RUNS)/student.json; \
	else echo "no corpora in $(DATA): the cards have no tables beside rivals"; fi
	@echo "==> pictures for the cards -> $(RUNS)/figures"
	@$(DISTILL) figures $(MODELS) --out $(RUNS)/figures > /dev/null
	@$(DISTILL) curves $(RUNS)/teacher --out $(RUNS)/figures/training.svg > /dev/null
	@echo "==> parity"
	@PLETHPRINT_TRUSTED_KEYS=$(RUNS)/trusted_keys.json $(TRAIN_BIN)/plethprint parity --package $(RUNS)/models/$(STUDENT_PACKAGE)
	@echo "done: to ship them, copy $(RUNS)/models/* and $(RUNS)/trusted_keys.json to sdk/plethprint/models"

# 2 M windows at four times the operations: about 50 minutes of one core.
MINI       = --windows-dir $(RUNS)/windows --teacher $(RUNS)/teacher/teacher.npz --student $(RUNS)/mini --preset mini
MINI_OUT   = $(RUNS)/models/plethprint-mini_v2

train-mini: train  ## distil and quantise the larger student for phones, from the same teacher
	@echo "==> larger student -> $(RUNS)/mini"
	@$(DISTILL) distill --windows-dir $(RUNS)/windows --teacher $(RUNS)/teacher/teacher.npz --out $(RUNS)/mini --preset mini --windows 2000000 $(DISTILL_ARGS)
	@$(DISTILL) handover $(MINI)
	@$(QUANTIZE) --student $(RUNS)/mini --out $(MINI_OUT) --json > $(RUNS)/mini.json
	@$(DISTILL) evaluate $(MINI) --teacher-id "$$($(READ_ID) $(RUNS)/teacher.json)" --onnx $(MINI_OUT)/encoder.onnx > $(RUNS)/mini_figures.json
	@$(QUANTIZE) --student $(RUNS)/mini --out $(MINI_OUT) --json > $(RUNS)/mini.json

clean:  ## remove environments and caches; training runs stay
	@echo "==> removing $(VENV), build products and caches (runs/ and $(TRAIN_VENV) stay)"
	@rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find sdk device_sim distill quantize tests -name __pycache__ -type d -prune -exec rm -rf {} +
