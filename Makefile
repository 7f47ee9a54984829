# The two commands a newcomer needs are `make demo` and `make test`; the rest serves those who change the code.
JOBS ?= $(shell nproc)
BUILD := build/release

.DEFAULT_GOAL := build
.PHONY: deps configure build demo tests test test-browser lint bench nightly asan clean

deps:
	@tools/install-deps.sh

configure: deps
	@cmake --preset release > /dev/null

# The program alone.
build: configure
	@cmake --build --preset release -j $(JOBS) --target ddpm-eval

# Trains, samples and scores a small DDPM on Fashion-MNIST; results in runs/demo.
demo: build
	@tools/demo.sh $(BUILD)/bin/ddpm-eval runs/demo

tests: configure
	@cmake --build --preset release -j $(JOBS) --target ddpm-eval all_tests

test: tests
	@ctest --preset release -j $(JOBS)

# The pages of `report` in a real browser.
test-browser: build
	@tools/install-deps.sh browser
	@tests/browser/run.sh $(BUILD)/bin/ddpm-eval

lint: deps
	@tools/lint.sh

bench: configure
	@cmake --build --preset release -j $(JOBS) --target all_bench
	@tools/bench.sh $(BUILD)

# HEAD against the baseline of results/history; bench/nightly.py --set-baseline sets that. Its exit codes (4: a regression)
# become make's own 2: the last line says which it was. NIGHTLY takes flags: make nightly NIGHTLY=--no-sanitizers
nightly: deps
	@bench/nightly.py $(NIGHTLY)

asan: deps
	@cmake --preset asan > /dev/null
	@cmake --build --preset asan -j $(JOBS) --target ddpm-eval all_tests
	@ctest --preset asan -j $(JOBS)

clean:
	@rm -rf build
