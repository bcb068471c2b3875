# Everything that one does with this repository. `make` alone lists it.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:

swift_flags := --explicit-target-dependency-import-check error
swift_code := Package.swift Sources Tests docs/examples

environment := .build/venv/bin
python := $(environment)/python
pytest := $(python) -m pytest --quiet -o cache_dir=$(CURDIR)/.build/pytest
ruff_flags := --quiet --config Tests/ruff.toml --cache-dir .build/ruff
mypy := $(environment)/mypy --config-file Sources/python/pyproject.toml --cache-dir .build/mypy
python_code := Sources/python Tests docs/examples

# The modules of the Python package that do no I/O: their own tests, without a daemon, go both ways at every branch.
core := answers grammar held outgoing outstanding parsing protocol replies request_parsing requests
coverage_flags := --cov-config=Sources/python/pyproject.toml --cov-report=term-missing:skip-covered --cov-fail-under=100

# The tests that take long and have one thread only: for `make nightly` to run with the thread sanitizer.
one_thread := GreedyUserTests|LineFuzzTests|LogDamageTests|LogRecordTests|RestartFuzzTests|SearchPaceTests

# Each is checked on its own, because several have a conftest or an app.
typed_code := Sources/python/src Tests/Benchmarks Tests/Demo Tests/Tools Tests/python Tests/systemd $(sort $(dir $(wildcard docs/examples/*/*.py)))

.PHONY: help
help: ## list the targets
	@echo 'usage: make TARGET'
	@sed -n -e 's/^##### \(.*\)/\n\1/p' -e 's/^\([a-z-]*\):[^#]*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 24

##### Set up and build

.PHONY: setup
setup: ## install what is missing here: Debian packages, a Python environment in .build/venv
	@Tests/Tools/set-up.sh

# Kept apart because it is a lot, and who wants to see the demo needs none of it.
.PHONY: setup-packaging
setup-packaging: setup
	@Tests/Tools/set-up.sh packaging

.PHONY: build
build: setup ## build everything for debugging, tests included
	swift build --build-tests $(swift_flags)

# The C++ library that Swift's needs is in the programs as well, where there is one to be linked: to load and bind them took 0.5 ms
# of the 3.3 that `lockctl --version` did. The folder has nothing but that one, so it is found there before the shared one is.
.PHONY: release
release: setup ## build lockd and lockctl, optimised, stripped, with the Swift library in them: .build/release/lockd, .build/release/lockctl
	@mkdir -p .build/static
	@ln -sf "$$(clang -print-file-name=libstdc++.a 2>/dev/null || echo none)" .build/static/libstdc++.a
	swift build --configuration release --static-swift-stdlib -Xlinker --strip-all $(swift_flags) \
	    -Xswiftc '-L$(CURDIR)/.build/static' -Xswiftc -Xclang-linker -Xswiftc -static-libgcc

.PHONY: docs
docs: build ## make the documentation of the Swift libraries, in .build/docs, and check it
	@Tests/Tools/docs.sh

.PHONY: deb
deb: release setup-packaging ## make the Debian package, in .build/deb
	systemd/build-deb.sh

.PHONY: clean
clean: ## delete everything that was built, the Python environment included
	rm -rf .build Tests/*/.build

##### See it work

.PHONY: demo
demo: release ## gunicorn workers that lose updates, and then do not
	@$(python) Tests/Demo/demo.py

.PHONY: bench
bench: release ## measure lockd beside the limit of the machine and beside Redis, if that is installed, and in large tables
	swift build --package-path Tests/Benchmarks --configuration release
	$(pytest) Tests/Benchmarks
	$(python) Tests/Benchmarks/run.py
	$(python) Tests/Benchmarks/scale.py

.PHONY: bench-clients
bench-clients: release ## measure the client libraries beside other locks, as far as those are installed; installs the Python ones into .build/venv
	$(python) -m pip install --quiet --disable-pip-version-check --requirement Tests/Benchmarks/requirements.txt
	swift build --package-path Tests/Benchmarks --configuration release --product client-load
	$(python) Tests/Benchmarks/clients.py

.PHONY: bench-lockctl
bench-lockctl: release ## measure the command line beside flock, and beside etcdctl (Debian: etcd-server, etcd-client) and a Redis script (redis-server), if those are installed
	swift build --package-path Tests/Benchmarks --configuration release --product stamp
	$(python) Tests/Benchmarks/lockctl.py

##### Test

.PHONY: test
test: ## run everything that fits into 20 minutes: checks, tests, a little of the nightly, the demo
	@FUZZ_SECONDS=10 SUITES='LockdClientTests|LockdServerTests' SKIP='$(one_thread)' \
		Tests/Tools/steps.sh setup lint build docs test-swift sanitize-thread fuzz release test-python test-systemd demo

.PHONY: test-swift
test-swift: setup ## run the Swift tests
	swift test $(swift_flags)

.PHONY: test-python
test-python: release ## run the Python tests: the client, the examples, lockctl, the checks, the demo, the runners of the benchmarks
	$(pytest) -n 3 Tests/python
	COVERAGE_FILE=.build/coverage $(pytest) $(foreach module,$(core),$(wildcard Tests/python/test_$(module)*.py) --cov=lockd._$(module)) $(coverage_flags)
	$(pytest) Tests/Tools
	$(pytest) Tests/Demo
	$(pytest) Tests/Benchmarks/test_run.py Tests/Benchmarks/test_clients.py Tests/Benchmarks/test_lockctl.py

.PHONY: test-systemd
test-systemd: release setup-packaging ## test the package and the units, each test in a container with systemd as PID 1; needs root
	$(pytest) Tests/systemd

.PHONY: test-crash
test-crash: release setup-packaging ## kill the daemon LOCKD_CRASHES (40) times while a crowd uses it, under systemd and without; needs root; SEED=N repeats one
	LOCKD_CRASHES=$(or $(LOCKD_CRASHES),40) $(if $(SEED),SEED=$(SEED)) $(pytest) Tests/systemd/test_crashes.py

.PHONY: restarts
restarts: release ## kill the daemon under load and start it again, RESTARTS (200) times
	RESTARTS=$(or $(RESTARTS),200) $(pytest) Tests/python/test_restart_load.py
	RESTARTS=$(or $(RESTARTS),200) swift test $(swift_flags) --filter RestartLoadTests

.PHONY: simulate
simulate: setup ## run a long simulation of the lock table; SEED=N repeats the one that failed
	SIMULATION_STEPS=$(or $(SIMULATION_STEPS),100000) $(if $(SEED),SEED=$(SEED)) swift test $(swift_flags) --filter SimulationTests

.PHONY: fuzz
fuzz: setup ## feed the protocol and the daemon what nobody would think of, for FUZZ_SECONDS (60) each
	Tests/Tools/fuzz.sh $(or $(FUZZ_SECONDS),60)

.PHONY: screens-rewrite
screens-rewrite: release ## capture docs/screens.md anew; then read the difference
	LOCKD_REWRITE_SCREENS=1 .build/venv/bin/python -m pytest --quiet Tests/python/lockctl/test_screens.py

.PHONY: transcripts-rewrite
transcripts-rewrite: setup ## write the expected lines of Tests/Transcripts anew; then read the difference
	REWRITE_TRANSCRIPTS=1 swift test $(swift_flags) --filter TranscriptTests

.PHONY: sanitize-thread sanitize-address
sanitize-thread: ## run the Swift tests with the thread sanitizer; SUITES=REGEX chooses some, SKIP=REGEX leaves some out
sanitize-address: ## run the Swift tests with the address sanitizer; SUITES=REGEX chooses some, SKIP=REGEX leaves some out
sanitize-thread sanitize-address: sanitize-%: setup
	LSAN_OPTIONS=suppressions=$(CURDIR)/Tests/Tools/leaks.txt swift test $(swift_flags) --sanitize=$* --scratch-path .build/sanitize-$* $(if $(SUITES),--filter '$(SUITES)') $(if $(SKIP),--skip '$(SKIP)')

.PHONY: nightly
nightly: ## run what takes too long for `make test`: sanitizers, long simulations, many restarts and crashes, fuzzing
	@FUZZ_SECONDS=1800 SIMULATION_STEPS=1000000 LOCKD_CRASHES=300 \
		Tests/Tools/steps.sh setup api sanitize-thread sanitize-address simulate restarts test-crash fuzz

##### Check

.PHONY: lint
lint: setup ## check whatever can be checked without running it: format, floors, links, types
	@failed=0; check() { echo "$$*"; "$$@" || failed=1; }; \
	check swift format lint --strict --parallel --recursive $(swift_code); \
	check $(python) Tests/Tools/floors.py; \
	check $(python) Tests/Tools/tidy.py; \
	check $(python) Tests/Tools/links.py; \
	check $(environment)/ruff check $(ruff_flags) $(python_code); \
	check $(environment)/ruff format --check $(ruff_flags) $(python_code); \
	for code in $(typed_code); do check $(mypy) $$code; done; \
	exit $$failed

.PHONY: api
api: setup ## compare the interface of the Swift libraries with that of the last release; BASELINE=COMMIT for another one
	@Tests/Tools/api.sh

.PHONY: format
format: setup ## format the Swift and the Python code
	swift format --in-place --parallel --recursive $(swift_code)
	$(environment)/ruff check --fix $(ruff_flags) $(python_code)
	$(environment)/ruff format $(ruff_flags) $(python_code)
