# Two commands on a fresh machine: `make demo` and `make test`. `make check` is what must pass.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# One torch thread a worker: tests run side by side.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

.PHONY: demo test check whole setup lint types contract format examples docs bench clean

demo: $(VENV)/.ready
	$(BIN)/velatura samples demo --overwrite
	$(BIN)/velatura stylize demo/$(or $(PHOTO),mountain-lake).png demo/$(or $(PAINTING),flowing-strokes).png -o demo/out.png
	@echo
	@echo "The picture is demo/out.png. Try another painting, or your own pictures:"
	@echo "  $(BIN)/velatura stylize demo/mountain-lake.png demo/stained-glass.png -o demo/glass.png"
	@echo "  $(BIN)/velatura stylize PHOTO PAINTING -o OUT.png --size 768 --strength 1.5"

setup: $(VENV)/.ready

# torch first and alone, at its pinned version: an open range would pull gigabytes of CUDA packages.
$(VENV)/.ready: pyproject.toml constraints/ci.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' constraints/ci.txt)" "$$(grep '^uv==' constraints/ci.txt)"
	$(BIN)/uv pip install --quiet --no-sources --python $(BIN)/python -c constraints/ci.txt -e '.[all]' --group dev
	@touch $@

test: $(VENV)/.ready
	$(PYTEST)

# The slow tests in full too: about an hour.
whole: $(VENV)/.ready
	$(PYTEST) --whole

check: lint types contract test

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready
	$(BIN)/mypy

contract: $(VENV)/.ready
	$(BIN)/lint-imports

format: $(VENV)/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The notebooks, with their pictures, from their sources.
examples: $(VENV)/.ready
	$(BIN)/python examples/build.py

# The pictures of the pages on controls: about an hour.
docs: $(VENV)/.ready
	$(BIN)/python docs/controls/draw.py

bench: $(VENV)/.ready
	$(BIN)/velatura bench

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
