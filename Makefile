# Every habit as one command. `make test PYTHON=python3.13` uses another Python, in a virtual environment of its own.

PYTHON ?= python3
ifeq ($(PYTHON),python3)
VENV := .venv
else
VENV := .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
endif
BIN := $(VENV)/bin

# With an NVIDIA driver, `make demo`, `make train` and `make bench` bring CuPy and show the GPU too (CUDA= turns that off).
DRIVER := $(shell nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | grep -Eo '^[0-9]+' | head -n 1)
CUDA ?= $(if $(DRIVER),$(shell [ $(DRIVER) -ge 580 ] && echo cuda13 || echo cuda12))

.PHONY: help servers test quick attack sanitize lint demo train bench bench-gpu prove-gpu calibrate clean

help:
	@echo "make test    install into $(VENV) and run all tests (ARGS='-k name' for some)"
	@echo "make quick   the main laws in under a minute: architecture, README, metadata, stores, codecs, reads, writes"
	@echo "make attack  minutes of hostile documents, chunks and calls, interrupts, kills, forks and writers in each other's way, counted (ROUNDS=20: times as many as in make test)"
	@echo "make servers nginx and Azurite for the tests of remote stores, as far as apt-get and npm can install them"
	@echo "make sanitize   the kernels, emulated, under AddressSanitizer, with their tests and hostile chunks (minutes)"
	@echo "make lint    ruff and mypy"
	@echo "make demo    a real MRI scan in six layouts: read, checked, timed, pictured (demo-output/)"
	@echo "make train   a small network learns from random crops of shards, on a CPU in under a minute: losses, speed, what limited it"
	@echo "make bench   gpuzarr beside its peers (minutes; results in benchmarks/results/)"
	@echo "make bench-gpu   the same on a GPU in under 9 minutes: decoding, kernels, whole reads and writes; with plots (gpu-session/)"
	@echo "make prove-gpu   all that is to be shown on a GPU: tests, compute-sanitizer, probes, benchmarks (ARGS='--session 1', ARGS='--steps suite,probe')"
	@echo "make calibrate  what decoding costs on this GPU and on this CPU; the cost model takes it from there"
	@echo "make clean   remove everything that these made"

# Compiled modules are kept (`make clean` removes them): hundreds of processes of tests would each compile them anew.
unexport PYTHONDONTWRITEBYTECODE

# One stamp a set of extras: made again only when pyproject.toml or a file of the C library changes.
# Modules are compiled when they are imported first: three of four never are.
$(VENV)/.%.stamp: pyproject.toml $(wildcard gpuzarr/native/*.[ch]) gpuzarr/native/build.py
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing gpuzarr[$*] into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable '.[$*]'
	@touch $@

comma := ,
DEMO := $(VENV)/.demo$(if $(CUDA),$(comma)$(CUDA)).stamp
TRAIN := $(VENV)/.test$(comma)torch$(if $(CUDA),$(comma)$(CUDA)).stamp

# A process for each core takes the next file of tests; ARGS=-n0: all in one process.
BY_FILE := -n auto --maxprocesses 8 --dist loadfile

test: $(VENV)/.test.stamp
	$(BIN)/python -m pytest -q $(BY_FILE) $(ARGS)

# Real servers of HTTP and of Azure's API. Tests of one that is missing are skipped; moto, the one of S3, comes with pip.
QUIETLY := >/dev/null 2>&1
NGINX := $(shell PATH=$$PATH:/usr/sbin command -v nginx)
AZURITE := .npm/node_modules/.bin/azurite-blob

servers:
	@test -n "$(NGINX)" || timeout 120 sh -c 'apt-get update && apt-get install -y --no-install-recommends nginx-light' $(QUIETLY) \
	    || echo "nginx was not installed: apt-get install nginx-light"
	@test -x $(AZURITE) || timeout 120 npm install --no-audit --no-fund --prefix .npm azurite@3 $(QUIETLY) \
	    || echo "Azurite was not installed: npm install --prefix .npm azurite@3"

# Matrices on the CPU and on the emulated GPU; properties are tried on fewer examples.
QUICK := test_*.py metadata stores/test_laws.py codecs/test_laws.py $(addprefix read/test_,values.py damage.py) \
    $(addprefix write/test_,values.py matrix.py)

quick: $(VENV)/.test.stamp
	GPUZARR_EXAMPLES=25 $(BIN)/python -m pytest -q $(wildcard $(addprefix tests/,$(QUICK))) $(ARGS)

# As many times as much as in `make test`; the README's table comes from the counts.
ROUNDS ?= 20
ATTACK := attack api/test_typed_errors.py metadata/test_attack.py codecs/test_hostile_chunks.py codecs/test_chains.py codecs/test_bombs.py \
    codecs/test_imagecodecs.py read/test_hostile_sizes.py write/test_crafted_indexes.py
COUNTS := benchmarks/results/attack.json

attack: $(VENV)/.test.stamp
	GPUZARR_ATTACK_ROUNDS=$(ROUNDS) GPUZARR_ATTACK_REPORT=$(COUNTS) $(BIN)/python -m pytest -q $(addprefix tests/,$(ATTACK)) $(ARGS)

# Emulated kernels that touch what is not theirs end the process, with the line (tests/emulator/sanitizer.py).
SANITIZED := gpu codecs/test_hostile_chunks.py codecs/test_laws.py codecs/test_chains.py

sanitize: $(VENV)/.test.stamp
	$(BIN)/python -m tests.emulator $(addprefix tests/,$(SANITIZED)) -k "not cuda" --ignore tests/gpu/test_kernels_compile.py $(ARGS)

lint: $(VENV)/.lint.stamp
	$(BIN)/ruff check .
	$(BIN)/mypy

demo: $(DEMO)
	$(BIN)/python -m benchmarks.questions.demo $(ARGS)

train: $(TRAIN)
	$(BIN)/python -m benchmarks.questions.train $(ARGS)

bench: $(DEMO)
	$(BIN)/python -m benchmarks.questions.read_local
	$(BIN)/python -m benchmarks.questions.read_many
	$(BIN)/python -m benchmarks.questions.read_regions
	$(BIN)/python -m benchmarks.questions.read_n5
	$(BIN)/python -m benchmarks.questions.read_remote
	$(BIN)/python -m benchmarks.questions.read_references
	$(BIN)/python -m benchmarks.questions.host_cost
	$(BIN)/python -m benchmarks.questions.host_codecs
	$(BIN)/python -m benchmarks.questions.write_local
	$(BIN)/python -m benchmarks.questions.write_pyramid
	$(BIN)/python -m benchmarks.questions.loader
	$(BIN)/python -m benchmarks.questions.stats
	$(BIN)/python -m benchmarks.questions.xarray_open

bench-gpu: $(DEMO)
	$(BIN)/python -m benchmarks.sessions.prove --session 2 $(ARGS)

prove-gpu: $(VENV)/.test.stamp $(DEMO)
	$(BIN)/python -m benchmarks.sessions.prove $(ARGS)

calibrate: $(DEMO)
	$(BIN)/python -m benchmarks.questions.calibrate $(ARGS)

clean:
	rm -rf .venv .venv-* .npm demo-output gpu-session dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
