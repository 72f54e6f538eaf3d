# make demo and make test set up a fresh machine by themselves: .venv, pip under the constraints, run.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO_OUT ?= demo
DATA ?= ../shared/data
TUTORIAL_OUT ?= tutorial
BENCH_OUT ?= bench
# Tests share two cores; one thread per worker keeps torch and BLAS from fighting over them.
WORKERS ?= 2

.PHONY: demo test tutorial check format lint types bench bench-quick clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip setuptools wheel --constraint constraints.txt
	$(BIN)/python -m pip install --quiet torch --constraint constraints.txt
	$(BIN)/python -m pip install --quiet --editable '.[dev,tensorboard]' --constraint constraints.txt
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/chromweave demo $(DEMO_OUT)

test: $(STAMP)
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

# Every command of docs/tutorial.md on the real data in DATA; rewrites docs/figures.
tutorial: $(STAMP)
	PATH="$(CURDIR)/$(BIN):$$PATH" docs/tutorial.sh $(DATA) $(TUTORIAL_OUT)

check: $(STAMP) lint types test

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy

# Every table of the papers on simulated cell lines, an hour on two cores.
bench-quick: $(STAMP)
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m benchmarks.quick --folder $(BENCH_OUT)/quick

bench: $(STAMP)
	$(BIN)/python -m benchmarks.store_throughput
	$(BIN)/python -m benchmarks.training_step
	$(BIN)/python -m benchmarks.window_loading
	$(BIN)/python -m benchmarks.scaling
	$(BIN)/python -m benchmarks.pretraining_retrieval --epochs 5
	$(BIN)/python -m benchmarks.three_tasks --folder $(BENCH_OUT)
	$(BIN)/python -m benchmarks.three_tasks_k562 --data $(DATA)/k562_chr22_hg38 --folder $(BENCH_OUT)/k562
	$(BIN)/python -m benchmarks.anchor_deletion --folder $(BENCH_OUT)
	$(BIN)/python -m benchmarks.loop_rates --folder $(BENCH_OUT)/rates
	$(BIN)/python -m benchmarks.loop_callers --data $(DATA) --folder $(BENCH_OUT)/loops

clean:
	rm -rf demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
