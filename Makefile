# The README's two commands are `make demo` and `make test`. Everything private goes below .venv and build.
.PHONY: demo test test-fast test-engine test-wheel check dev bench soak fuzz testbed test-witness witness clean
.NOTPARALLEL:

PYTHON ?= python3
export PYTHON
# The programs that tests start would compile every module anew, each time.
unexport PYTHONDONTWRITEBYTECODE
BIN = .venv/bin

demo: dev testbed
	$(BIN)/python demo/tour.py

test: test-fast check test-wheel test-witness test-engine

# More workers than processors: many tests wait for a process, a lock or a time limit.
test-fast: dev
	scripts/test -n 4 -m "not engine and not wheel and not witness"

test-engine: dev testbed
	scripts/test -m engine

test-wheel: dev
	scripts/test -m wheel

test-witness: dev witness
	scripts/test -m witness

check: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests/cache tests/daemon tests/support tests/*.py
	$(BIN)/mypy tests/engine
	$(BIN)/mypy tests/witness
	$(BIN)/mypy tests/fuzz
	$(BIN)/mypy testbed tests/testbed
	$(BIN)/mypy benchmarks demo docs
	$(BIN)/lint-imports

dev:
	scripts/venv

witness:
	scripts/witness

testbed:
	$(PYTHON) testbed/main.py up

bench: dev testbed
	$(BIN)/python benchmarks/run.py

# Hours of what CI does for minutes: KILLS and SEED choose how often and where the service is killed.
soak: dev testbed
	KILLS=$${KILLS:-300} FLOOD_BYTES=$${FLOOD_BYTES:-10000000000} \
	$(BIN)/python -P -m pytest -q -m engine tests/engine/test_kills.py tests/engine/test_odd_builds.py

# At least a million inputs for everything that reads: FUZZ="--seed 2 --seconds 600".
fuzz: dev
	$(BIN)/python -m pip install -qq --disable-pip-version-check --group fuzz
	PYTHONPATH=tests/fuzz $(BIN)/python -P tests/fuzz/fuzz.py $(FUZZ)

clean:
	$(PYTHON) testbed/main.py clean
	rm -rf .venv build dist envkiln.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
