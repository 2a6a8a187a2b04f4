# `make demo` and `make test` set up what is missing by themselves: a virtual environment in .venv,
# the install, the run. PYTHON=python3.12 make demo takes another interpreter (3.11.4 or newer).
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
export NO_ALBUMENTATIONS_UPDATE = 1

.PHONY: demo test test-ray bench lint format studies tensorboard clean

demo: .venv/.installed
	$(BIN)/python -m segbench -m name=demo model=unet_compact,segnet model.base_channels=8 \
	  loss=bce,dice seed=0,1 data.count=120 data.size=64 trainer.max_epochs=15
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname)" = Darwin ]; then \
	  $(BIN)/python -m webbrowser outputs/demo/report/index.html; fi

test: .venv/.dev
	$(BIN)/python -m pytest

# Sweeps on a real Ray, which is not in the dev extra: it takes 400 MB, and older versions of others.
test-ray: .venv/.ray
	SEGBENCH_REQUIRE=ray $(BIN)/python -m pytest --numprocesses 0 tests/commands/sweeps/test_ray.py

bench: .venv/.dev
	$(BIN)/python benchmarks

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

studies: .venv/.installed
	@for folder in docs/studies/records/*/; do \
	  $(BIN)/python -m segbench compare records="$$folder" || exit 1; done

tensorboard: .venv/.installed
	$(BIN)/tensorboard --logdir outputs

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 4))' || \
	  { echo "segbench needs Python 3.11.4 or newer; $(PYTHON) is older: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.installed: .venv/bin/python pyproject.toml
	@echo "installing segbench and PyTorch into .venv (some 5 GB, a few minutes, once)"
	$(PIP) --editable .
	@touch $@

.venv/.dev: .venv/.installed
	@echo "installing what tests and lint need"
	$(PIP) --editable '.[dev]'
	@touch $@

.venv/.ray: .venv/.dev
	@echo "installing Ray (400 MB)"
	$(PIP) --editable '.[dev,ray]'
	@touch $@

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache
