# make demo: the whole job on synthetic data; make test (test-fast, test-large); make fuzz; make check; make bench; make docs-test, wheel-test. Needs Python 3.10+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-fast test-large fuzz check bench gpu-check test-browser docs-test wheel-test clean

demo: $(VENV)/.installed
	$(BIN)/python -m opengait.main --cfgs configs/dinogrl_synth.yaml

# Two processes of one thread each, whole files at a time: what files share is made once. The golden
# network and the check of a GPU go last and alone: beside others they would need more than 4 GiB, and
# so would the check behind the network in one process.
ALONE := tests/test_gpu_check.py tests/golden/test_golden_network.py
test: $(VENV)/.installed
	$(BIN)/python -m pytest -n 2 --dist loadfile $(addprefix --ignore=,$(ALONE))
	$(BIN)/python -m pytest $(ALONE)

# Without what takes more than about a tenth of a second or writes a whole data set: under a minute.
test-fast: $(VENV)/.installed
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

# The whole golden training step, in float64 (9.5 GiB of memory) and in float32.
test-large: $(VENV)/.installed
	$(BIN)/python -m pytest -m large -vv

# Every reader of files that users bring, 2,000 damaged inputs each: an hour at most.
# FUZZ="--reader boxes --seed 1 --keep DIR": one of them, other inputs, and where to keep the wrong.
fuzz: $(VENV)/.installed
	$(BIN)/python tests/fuzz/runner.py --count 2000 $(FUZZ)

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Every part beside what it replaces: half an hour; BENCH="--size small" a few minutes.
bench: $(VENV)/.installed
	$(BIN)/python benchmarks/bench.py $(BENCH)

# What only a machine with CUDA can show: eight minutes at most. GPU_CHECK=--dry: at toy size on the CPU.
gpu-check: $(VENV)/.installed
	$(BIN)/python benchmarks/gpu_check.py $(GPU_CHECK)

# The report in a real browser: Debian's Chromium; installing it asks for root.
test-browser: $(VENV)/.installed
	command -v chromium || (apt-get update && apt-get install -y --no-install-recommends chromium fonts-dejavu-core)
	$(BIN)/python -m pytest tests/browser

# Every command line of README and docs, on generated data: twenty minutes on two busy cores;
# DOCS_TEST="--only TEXT": some of them.
docs-test: $(VENV)/.installed
	$(BIN)/python -m pytest tests/docs
	$(BIN)/python tests/docs/run.py $(DOCS_TEST)

# The demo from an installed wheel, in an empty folder and a new environment: five minutes and the
# download of torch; WHEEL_TEST="--environment DIR" keeps the environment for the next time.
wheel-test:
	$(PYTHON) tests/wheel.py $(WHEEL_TEST)

# torch goes first: the others then find it there and leave it as it is.
$(VENV)/.installed: constraints.txt setup.cfg setup.py pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch torchvision
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) data/synth_vvi data/synth_vvi_raw
