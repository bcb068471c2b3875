# Everything that one does with this repository. `make` alone lists it.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:

python := .build/venv/bin/python
ruff := .build/venv/bin/ruff
ruff_flags := --quiet --config Tests/ruff.toml
swift_flags := --explicit-target-dependency-import-check error
python_code := Sources/python Tests/python Tests/Tools Tests/Demo docs/examples
SEED ?=

.PHONY: help
help: ## list the targets
	@echo 'usage: make TARGET'
	@echo
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r target what; do printf '  %-13s %s\n' "$$target" "$$what"; done

##### Set-up and builds

.PHONY: setup
setup: ## install what is missing here: Debian packages, a Python environment in .build/venv
	@Tests/Tools/set-up.sh

.PHONY: build
build: setup ## build everything, tests included, for debugging
	swift build --build-tests $(swift_flags)

.PHONY: release
release: setup ## build lockd and lockctl optimised; they are in .build/release
	swift build --configuration release $(swift_flags) --product lockd
	swift build --configuration release $(swift_flags) --product lockctl

##### To see it work

.PHONY: demo
demo: release ## gunicorn workers that lose updates, and then do not; in a minute
	@$(python) Tests/Demo/demo.py

##### Tests

.PHONY: test
test: setup ## run everything below: checks, unit tests, simulation, real processes, Python, the demo
	@Tests/Tools/steps.sh lint build test-swift simulate release test-python demo

.PHONY: test-swift
test-swift: setup ## run the Swift tests
	swift test $(swift_flags)

.PHONY: test-python
test-python: release ## run the Python tests: the client, the examples, the tools
	$(python) -m pytest -q Tests/python Tests/Tools

.PHONY: simulate
simulate: setup ## run the simulation; SEED=N repeats the run that failed with that seed
	$(if $(SEED),SEED=$(SEED)) swift test $(swift_flags) --filter Simulation

.PHONY: nightly
nightly: setup ## run what takes too long for make test: sanitizers, long simulation, long fuzzing
	@Tests/Tools/steps.sh sanitize-thread sanitize-address

.PHONY: sanitize-thread
sanitize-thread: setup
	swift test $(swift_flags) --sanitize=thread --scratch-path .build/sanitize-thread

.PHONY: sanitize-address
sanitize-address: setup
	swift test $(swift_flags) --sanitize=address --scratch-path .build/sanitize-address

##### Checks

.PHONY: lint
lint: setup ## check format, floors, links, types and what else can be checked without running it
	swift format lint --strict --parallel --recursive Package.swift Sources Tests
	$(python) Tests/Tools/floors.py
	$(python) Tests/Tools/tidy.py
	$(python) Tests/Tools/links.py
	$(ruff) check $(ruff_flags) $(python_code)
	$(ruff) format --check $(ruff_flags) $(python_code)
	$(python) -m mypy --strict $(python_code)

.PHONY: format
format: setup ## format the Swift and Python code
	swift format --in-place --parallel --recursive Package.swift Sources Tests
	$(ruff) check --fix $(ruff_flags) $(python_code)
	$(ruff) format $(ruff_flags) $(python_code)

##### And the rest

.PHONY: clean
clean: ## delete everything that was built, the Python environment too
	rm -rf .build
