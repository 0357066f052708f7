# Everything runs in .venv; no target needs more than Python >= 3.11 and make.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: setup demo test quick bench check format lint types imports newest clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; assert sys.version_info >= (3, 11), 'synthograph needs Python 3.11 or newer'"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,imagenet,classify,segment,tune,wandb,export,video,dicom,wsi]'
	# serves cross-checks in tests only; its dependency torchvision does not import beside a CPU torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps torch-fidelity==0.4.0
	touch $(STAMP)

demo: setup
	$(BIN)/synthograph demo

test: setup
	$(BIN)/python -m pytest -q -n 2

bench: setup
	$(BIN)/python benchmarks/run.py --config A,B --path both

# all but the tests marked slow, which `make test` and the gate run too
check: setup format lint types imports quick

quick: setup
	$(BIN)/python -m pytest -q -n 2 -m "not slow"

format: setup
	$(BIN)/ruff format --check src tests benchmarks docs

lint: setup
	$(BIN)/ruff check src tests benchmarks docs
	$(BIN)/hadolint docs/cluster/Dockerfile.*

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

# the newest of all that pyproject.toml allows, in a venv of its own. torch is the newest build for
# processors; without PyTorch's own index, or with TORCH=torch, the newest of all, which brings CUDA
# (several GB); TORCH=torch==2.13.0 takes that one
TORCH ?= --retries 0 --extra-index-url https://download.pytorch.org/whl/cpu torch
newest:
	$(PYTHON) -m venv --clear .venv-newest
	.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev,all]'
	.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check --no-deps torch-fidelity
	.venv-newest/bin/python -m pytest -q -n 2 -m "not slow"

clean:
	rm -rf .venv .venv-newest build dist .mypy_cache .ruff_cache .pytest_cache
