# Two commands: `make search` makes a network faster on this machine and proves it, `make test` runs the whole suite.
# Each creates .venv and installs what it needs first; nothing else has to be typed.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
STAMP   = $(VENV)/.installed-$(shell cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)

ARGS ?=

# pytest has loaded torch before it could try how threads wait, as search does: look for work for a while, then sleep.
bench characterise: export GOMP_SPINCOUNT ?= 1000

.PHONY: help search experiment test bench install lint types suite coverage system-packages system-packages-if-possible clean

help:
	@echo "make search   install, then run the default campaign in five minutes (ARGS='--network resnet56 ...' to change it)"
	@echo "make experiment  the whole experiment, hours, resumable (ARGS=--quick: every step in minutes)"
	@echo "make test     install, then lint, type-check and run the whole test suite"
	@echo "make coverage the suite with branch coverage of every process, of which 85 % must be reached"
	@echo "make characterise   all that is to be known of ResNet-56's latency: ledger, predictor with its error, legal widths (ARGS=...)"
	@echo "make system-packages   as root: an OpenSSH server and a browser, without which some tests skip (make test does it itself when it is root)"
	@echo "make bench    install, then measure on this machine's CPU (ARGS='--device=ncs2 --network=resnet56' to change it)"

search: $(STAMP)
	$(BIN)/python -m search $(or $(ARGS),--minutes=5)

experiment: $(STAMP)
	$(BIN)/python -m search experiment $(ARGS)

bench: $(STAMP)
	$(BIN)/python -m pytest bench/ $(ARGS)

characterise: $(STAMP)
	$(BIN)/python -m pytest $(addprefix bench/test_,network_latency.py layer_latency.py predictor.py width_staircase.py) \
	  --network=resnet56 --widths=4 --benchmark-quiet --no-header -q $(ARGS)

test: $(STAMP)-test lint types system-packages-if-possible suite

system-packages:
	@.ci/system-packages

system-packages-if-possible:
	@.ci/system-packages --if-possible

lint: $(STAMP)-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)-test
	$(BIN)/mypy

# One thread for every test process: two that compute on both processors wait for each other at every layer.
suite: $(STAMP)-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests --timeout=300 --numprocesses=auto --dist=loadfile --no-loadscope-reorder --durations=25 $(ARGS)

# The same with branch coverage of every process, which takes half as long again.
coverage:
	@$(MAKE) suite ARGS="--cov --cov-report=term:skip-covered $(ARGS)"

install: $(STAMP)

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "no python3 found: install Python 3.11 or newer, or give one with PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11: give a newer one with PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "$(PYTHON) cannot create environments: apt-get install python3-venv"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(STAMP): $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@rm -f $(VENV)/.installed-* && touch $@

$(STAMP)-test: $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,distributed]'
	@rm -f $(VENV)/.installed-* && touch $(STAMP) $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
