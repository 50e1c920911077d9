# Two commands are enough on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
PYTEST_FLAGS ?=

# Images of containers often set it, and then each of the hundreds of processes that a run starts compiles every module anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-failed test-spark soak check format bench bench-spark peers picture clean
.DEFAULT_GOAL := demo

demo: .venv/demo ## the app on a sandbox of this machine, no account needed
	$(BIN)/lpmops demo

test: .venv/dev ## every test; four at a time, because the stories wait more than they work
	$(BIN)/python -m pytest -n 4 --dist worksteal $(PYTEST_FLAGS)

test-failed: .venv/dev ## the tests that failed last, one at a time
	$(BIN)/python -m pytest --last-failed --last-failed-no-failures none --maxfail 1 $(PYTEST_FLAGS)

soak: .venv/dev ## the proofs of changing things in their long form: kills twice over, every fault, 200 races of each action, 1,000 flipped bits, 500 nights, every script of a replay; properties with 2,000 examples
	LPMOPS_TEST_KILL_PAIRS=200 LPMOPS_TEST_FAULTS_EACH=11 LPMOPS_TEST_RACES=200 LPMOPS_TEST_JOURNAL_FLIPS=1000 LPMOPS_TEST_DISK_SIZES=42 \
	LPMOPS_TEST_MACHINE=500 LPMOPS_TEST_ROUTES=1000 LPMOPS_TEST_WIRE=all LPMOPS_TEST_REPLAYS=all $(BIN)/python -m pytest tests/actions tests/stories/test_replays_end_alike.py -n 4 --dist worksteal $(PYTEST_FLAGS)
	LPMOPS_TEST_EXAMPLES=2000 $(BIN)/python -m pytest -m hypothesis -n 4 --dist worksteal $(PYTEST_FLAGS)

test-spark: .venv/spark ## the stream job on real Spark, Delta and Kafka; needs a JDK (17) and Maven
	$(BIN)/python -m pytest tests/spark $(PYTEST_FLAGS)

check: .venv/dev ## format, lint, types, the floors of the house, the T-SQL that is sent
	$(BIN)/ruff format --check lpmops tests
	$(BIN)/ruff check lpmops tests
	$(BIN)/mypy -p lpmops -p tests
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint queries/tsql

format: .venv/dev
	$(BIN)/ruff format lpmops tests
	$(BIN)/ruff check --fix lpmops tests

bench: .venv/dev ## the figures of the README, as ratios within one run
	$(BIN)/python -m tests.benchmarks

bench-spark: .venv/spark ## the stream job's figures: commit to broker, and changes a second beside a bare read
	$(BIN)/python -m tests.benchmarks.spark

picture: .venv/demo ## draw docs/*.svg again, from a sandbox that runs
	$(BIN)/lpmops sandbox picture docs

.venv/base:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "lpmops needs Python 3.11 or newer; name one with: make PYTHON=python3.12 demo"; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/demo: .venv/base pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[sandbox]'
	@touch $@

.venv/dev: .venv/demo
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[sandbox,dev]'
	@touch $@

.venv/spark: .venv/dev tests/spark/jars/engine/pom.xml tests/spark/jars/broker/pom.xml
	@command -v java >/dev/null && command -v mvn >/dev/null || { echo "the stream job's suite needs a JDK (17) and Maven, e.g.: apt-get install openjdk-17-jdk-headless maven"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[sandbox,dev,spark]'
	for jars in engine broker; do mvn -q -B -f tests/spark/jars/$$jars/pom.xml dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/.venv/jars/$$jars || exit 1; done
	@touch $@

peers: .venv-peers/harlequin-2.17.0 .venv-peers/posting-2.11.1 ## the terminal apps that the benchmark of the app is held against

# Each in an environment of its own, because they ask for different versions of Textual; tree-sitter 0.26 crashes under posting.
.venv-peers/%: .venv/base
	$(PYTHON) -m venv $@
	$@/bin/python -m pip install --quiet --disable-pip-version-check $(subst -,==,$*) 'tree-sitter<0.26'

clean:
	rm -rf .venv .venv-peers .pytest_cache .mypy_cache .ruff_cache .hypothesis
