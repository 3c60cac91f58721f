# The environment is made once and reused; VENV and PYTHON can be set from outside.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TORCH ?= torch==2.13.0
STAMP := $(VENV)/.installed

# pytorch3d's wheel needs a CUDA build of torch (several gigabytes), so it has a place of its own.
VENV3D ?= .venv-pytorch3d
STAMP3D := $(VENV3D)/.installed
TORCH3D := $(VENV3D)/.torch

# What the tests open exported files with; without it (and without chromium) they skip.
NODE ?= .node

.PHONY: env torch-pytorch3d demo demo-live node test test-fast test-pytorch3d lint format fuzz bench clean

env: $(STAMP)

torch-pytorch3d: $(TORCH3D)

# torch first: a plain `torch` on Linux is a CUDA build of several gigabytes.
$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $(STAMP)

demo: $(STAMP)
	mkdir -p out
	$(BIN)/dim generate-listener examples/speaker.mp4 --ref examples/listener.png \
		--layout side-by-side -o out/demo.mp4 --force

demo-live: $(STAMP)
	$(BIN)/dim serve --open

node:
	npm install --silent --no-fund --no-audit --prefix $(NODE) three@0.187.0 gltf-validator@2.0.0-dev.3.10

# worksteal: each worker has a half of the files, in order, so that it makes their fixtures once.
# The page with its camera, microphone and drawing needs the whole machine: it comes by itself.
test: $(STAMP)
	$(BIN)/python -m pytest -q -n auto --dist worksteal --durations=20 --ignore tests/web/test_page.py
	$(BIN)/python -m pytest -q tests/web/test_page.py

test-fast: $(STAMP)
	$(BIN)/python -m pytest -q -n auto --dist worksteal -m "not slow" --ignore tests/web/test_page.py

# The gigabytes by themselves, so that .ci/run can fetch them while it does other things. Of their
# modules few are ever imported: compiling all would take longer than the test.
$(TORCH3D):
	test -x $(VENV3D)/bin/python || $(PYTHON) -m venv $(VENV3D)
	$(VENV3D)/bin/python -m pip install --quiet --upgrade pip
	$(VENV3D)/bin/python -m pip install --quiet --no-compile "torch==2.12.0"
	touch $(TORCH3D)

$(STAMP3D): pyproject.toml $(TORCH3D)
	$(VENV3D)/bin/python -m pip install --quiet --no-compile \
		"torch==2.12.0" --editable ".[pytorch3d]" "pytest>=8"
	touch $(STAMP3D)

# The first line compiles what is imported, and fails where the tests would skip.
test-pytorch3d: export PYTHONDONTWRITEBYTECODE =
test-pytorch3d: $(STAMP3D)
	$(VENV3D)/bin/python -c "import pytorch3d.renderer"
	$(VENV3D)/bin/python -m pytest -q tests/renderers/mesh/test_looks.py -k pytorch3d

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Mutated inputs to every command: `make fuzz SEED=7` for others, RUNS=100 for fewer.
RUNS ?= 2000
SEED ?= 1
fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzz --runs $(RUNS) --seed $(SEED)

bench: $(STAMP)
	$(BIN)/python -m tests.bench

clean:
	rm -rf $(VENV) $(VENV3D) $(NODE) out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
