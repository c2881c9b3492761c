# Each target is one line; `make` or `make help` explains them. Everything they need is installed by scripts/setup.
.DEFAULT_GOAL := help
.PHONY: help setup tools demo test test-all proto lint type bench bench-failover lock fmt sim sim-mutants
RUNS ?= 3
SEEDS ?= 20
FIRST ?= 1
JOBS ?= 1

help: ## show this help
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 12

setup: ## make .venv with everything that building and testing needs
	@scripts/setup dev

tools: ## have the programs that sites of kind kubernetes run: Helm, built once in some minutes
	@scripts/get-helm

demo: ## place a class on this machine and use it as a student would (KEEP=1 leaves it running; SITES=kubernetes: on two clusters)
	@scripts/demo

test: ## install what is needed and pass every test
	@scripts/setup dev && .venv/bin/python scripts/test

test-all: ## the same, and the thorough scenarios with real processes
	@scripts/setup dev && THOROUGH=1 .venv/bin/python scripts/test

proto: setup ## generate federation/api from proto/
	@scripts/proto

lint: setup ## ruff: rules and format
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .

fmt: setup ## let ruff mend what it can
	@.venv/bin/ruff check --fix . ; .venv/bin/ruff format .

type: setup ## mypy --strict
	@.venv/bin/mypy

bench: setup ## measure, and write docs/benchmarks.md
	@.venv/bin/python scripts/bench

bench-failover: setup ## measure what outages cost with RUNS=3 of each kind, and write docs/benchmarks.md
	@RUNS=$(RUNS) .venv/bin/python scripts/bench failover

lock: setup ## resolve pyproject.toml into requirements/
	@scripts/lock

sim: setup ## simulate SEEDS=20 runs from FIRST=1 with JOBS=1 processes, everything going wrong, and judge them
	@.venv/bin/python scripts/sim $(SEEDS) $(FIRST) $(JOBS)

sim-mutants: setup ## plant each known bug and find the simulated run that shows it
	@.venv/bin/python scripts/sim-mutants
