# The only commands a person must know. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SLICER ?=
IMAGE ?= Resources/SampleData/STS_051_ct.nii.gz
CLICK ?=
RADIOGRAPH ?= Resources/SampleData/canine_thorax_lateral.png
ARGS ?=
OWN ?=
HOST ?= 127.0.0.1
PORT ?= 8000
export IMEASURE_DATA ?= $(abspath ../shared/data)

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo demo-vhs test test-slicer test-package lint serve bench bench-accuracy train train-segmentation train-choice train-vhs evaluate-vhs train-screen train-classifier lock clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.server: $(BIN)/python server/requirements.lock server/requirements-torch.txt server/pyproject.toml
	$(BIN)/python server/install.py --editable
	@touch $@

$(VENV)/.dev: $(VENV)/.server requirements-dev.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --require-hashes -r requirements-dev.lock
	@touch $@

setup: $(VENV)/.server ## install the server into .venv (exact versions, checked hashes)

setup-dev: $(VENV)/.dev

demo: $(VENV)/.dev ## measure a mass on a real CT, and a heart on a real radiograph; own image: IMAGE=path.nii.gz CLICK=x,y,z (LPS mm)
	PYTHONPATH=IMeasure $(BIN)/python examples/demo.py --image "$(IMAGE)" $(if $(CLICK),--click="$(CLICK)") --output demo-output
	$(BIN)/python examples/vhs_demo.py --radiograph "$(RADIOGRAPH)" --output demo-output

demo-vhs: $(VENV)/.dev ## measure the heart on a lateral chest radiograph of a dog; your own: RADIOGRAPH=chest.png
	$(BIN)/python examples/vhs_demo.py --radiograph "$(RADIOGRAPH)" --output demo-output

serve: $(VENV)/.server ## start the server on http://HOST:PORT (default 127.0.0.1:8000)
	$(BIN)/imeasure-server serve --host $(HOST) --port $(PORT)

lint: $(VENV)/.dev ## ruff, ruff format and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint ## set up all that is needed and run the tests
	Testing/install_packages.sh
	$(BIN)/python -m pytest Testing/server Testing/clients Testing/browser
	$(BIN)/python -m pytest Testing/slicer
	@echo "Desktop Slicer: not run. With one: make test-slicer SLICER=/path/to/Slicer"

test-slicer: $(VENV)/.dev ## the Slicer tests in a desktop Slicer: SLICER=/path/to/Slicer
	@test -n "$(SLICER)" || { echo "Say which Slicer: make test-slicer SLICER=/path/to/Slicer"; exit 2; }
	$(BIN)/python Testing/slicer/desktop/run.py --slicer "$(SLICER)"
	$(BIN)/python Testing/slicer/desktop/run.py --slicer "$(SLICER)" --output test-output/plugin Testing/slicer/plugin

test-package: $(VENV)/.dev ## build, ctest and package the extension: SLICER=/path/to/Slicer SLICER_DIR=/path/with/SlicerConfig.cmake
	Testing/slicer/build_extension.sh

bench: $(VENV)/.dev ## speed, and accuracy in short, as Markdown and JSON in bench-output/
	PYTHONPATH=Testing:server/training:server:IMeasure $(BIN)/python -m bench --output bench-output

bench-accuracy: $(VENV)/.dev ## every method on the same cases and clicks, with pictures, in bench-output/accuracy/ (part: ARGS="--set sts")
	PYTHONPATH=Testing:server:IMeasure $(BIN)/python -m bench.comparison --output bench-output/accuracy $(ARGS)

train: $(VENV)/.dev ## make anew what was fitted to data (server/training)
	PYTHONPATH=Testing $(BIN)/python server/training/fit_candidate_quality.py

train-segmentation: $(VENV)/.dev ## train the promptable network, or go on with it, in training-output/segmentation (hours)
	PYTHONPATH=server/training:server $(BIN)/python -m segmentation --output training-output/segmentation $(ARGS)

train-choice: $(VENV)/.dev ## fit how the network chooses among cube sizes, after new weights (minutes)
	PYTHONPATH=Testing:server $(BIN)/python server/training/fit_choice.py

train-vhs: $(VENV)/.dev ## train the landmark networks, or go on with them, in training-output/vhs (hours; then OWN=... for your radiographs)
	server/training/vhs/train.sh $(BIN)/python training-output/vhs "$(OWN)"

evaluate-vhs: $(VENV)/.dev ## measure the landmark networks; on radiographs that you marked: OWN=points.csv or a folder with six-point .mat files
	PYTHONPATH=server/training:server $(BIN)/python -m vhs.evaluation --output bench-output $(if $(OWN),--marked "$(OWN)") $(ARGS)

train-screen: $(VENV)/.dev ## train what finds a screen in a photograph, then measure it, in training-output/vhs-screen (an hour)
	PYTHONPATH=server/training:server $(BIN)/python -m vhs_screen --output training-output/vhs-screen $(ARGS)
	cd training-output/vhs-screen && sha256sum screen.safetensors > SHA256SUMS
	PYTHONPATH=server/training:server $(BIN)/python -m vhs_screen.evaluation --output training-output/vhs-screen/evaluation --weights training-output/vhs-screen

train-classifier: $(VENV)/.dev ## train what tells a dog's lateral thorax from other pictures, in training-output/vhs-classifier (minutes)
	PYTHONPATH=server/training:server $(BIN)/python -m vhs_classifier --output training-output/vhs-classifier $(ARGS)

lock: $(VENV)/.dev ## make the lock files anew
	PATH="$(abspath $(BIN)):$$PATH" server/lock.sh

clean: ## remove what the commands made
	rm -rf $(VENV) build demo-output bench-output test-output .mypy_cache .pytest_cache .ruff_cache .hypothesis
