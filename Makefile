# What a person does with a checkout. Only Python (>= 3.11) and make are needed; everything else goes
# into .venv, which `make clean` removes. Another interpreter: make demo PYTHON=python3.13

PYTHON ?= python3
BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# pyproject.toml takes several versions of what numbers and machine code depend on; here the tested ones go in
TESTED := .venv/tested.txt
# the oldest that the kernels take
TRITON ?= 3.6.0
# how many tests run at once, each on one thread: make test WORKERS=8 on a larger machine
WORKERS ?= 2
# a thread that waits must not keep a core from the other worker
PYTEST := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/pytest -n $(WORKERS) --dist loadfile --durations=50

.DEFAULT_GOAL := help
.PHONY: help demo lab test test-slow test-triton mistakes audit docs docs-check api lock notebooks bench bench-quick classroom-base clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|' 2>/dev/null || grep '##' Makefile

demo: .venv/lab ## train the verbs study (36 small models, minutes on 2 cores) and write its report
	@$(BIN)/workbench run verbs --budget coffee

lab: .venv/lab ## open the notebooks in JupyterLab
	@$(BIN)/workbench lab

test: .venv/test docs-check ## style, types and the quick tests
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet || { echo "Some files are not formatted: run $(BIN)/ruff format"; exit 1; }
	@$(BIN)/mypy
	@$(PYTEST) -m "not slow"

test-slow: .venv/test ## the tests that take minutes
	@$(PYTEST) -m slow

test-triton: .venv/test ## the kernels' quick tests on another Triton: make test-triton TRITON=3.7.1
	@test -d build/triton-$(TRITON) || $(PIP_INSTALL) --no-deps --target build/triton-$(TRITON) triton==$(TRITON)
	@PYTHONPATH=build/triton-$(TRITON) $(PYTEST) -m "not slow" tests/kernels

mistakes: .venv/test ## plant each listed mistake in the code; the tests have to find it (minutes)
	@OMP_NUM_THREADS=1 $(BIN)/python tests/mistakes/run.py

audit: .venv/test ## look at every notebook and page in a browser, light and dark, at three widths: list what is wrong
	@$(BIN)/python tests/browser/audit_pages.py

docs: .venv/lab ## write the documents' tables from the code
	@$(BIN)/python docs/tables.py

docs-check: .venv/lab ## fail if the documents' tables are not what the code says
	@$(BIN)/python docs/tables.py --check

api: .venv/lab ## build pages of every public name from the docstrings, into build/api
	@$(PIP_INSTALL) -c $(TESTED) -e '.[docs]'
	@$(BIN)/pdoc --docformat google --no-show-source -o build/api workbench qlora_kernels '!qlora_kernels.*_triton' '!qlora_kernels.lab' '!workbench.lessons.kernel_lab'
	@echo "Open build/api/index.html"

lock: ## write constraints.txt: the exact versions in an environment made anew
	@rm -rf build/lock && $(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip install --quiet --disable-pip-version-check -e '.[lab,test,cluster,docs]'
	@build/lock/bin/python docs/lock.py > constraints.txt

notebooks: .venv/test ## write each notebook from its text form, with its pictures
	@$(BIN)/python docs/notebooks.py

bench: .venv/lab ## compare with transformers + PEFT and measure this machine (minutes; wants it quiet)
	@$(PIP_INSTALL) -c $(TESTED) -e '.[bench]'
	@mkdir -p benchmarks/records
	@$(BIN)/python benchmarks/roofline.py benchmarks/records/roofline.json
	@$(BIN)/python benchmarks/stacking.py benchmarks/records/stacking.json
	@$(BIN)/python benchmarks/against_peft.py --output benchmarks/records/against_peft.json
	@$(BIN)/python benchmarks/load_base.py --against-transformers benchmarks/records/load_base.json
	@$(BIN)/python benchmarks/profile_step.py --output benchmarks/records/profile_step.json
	@$(BIN)/python benchmarks/trunk.py benchmarks/records/trunk.json
	@$(BIN)/python benchmarks/whole_study.py --output benchmarks/records/whole_study.json
	@$(BIN)/python benchmarks/precision.py benchmarks/records/precision.json
	@$(BIN)/python benchmarks/growth.py benchmarks/records/growth.json
	@$(BIN)/python benchmarks/decoding.py --output benchmarks/records/decoding.json
	@$(BIN)/python benchmarks/speed_page.py

bench-quick: .venv/lab ## the same comparison in at most 10 minutes, into build/bench: one round, fewer steps
	@$(PIP_INSTALL) -c $(TESTED) -e '.[bench]'
	@mkdir -p build/bench
	@$(BIN)/python benchmarks/roofline.py build/bench/roofline.json
	@$(BIN)/python benchmarks/against_peft.py --quick --output build/bench/against_peft.json
	@$(BIN)/python benchmarks/decoding.py --quick --output build/bench/decoding.json

# On a machine with a GPU: .venv if it is there, or else what PYTHON names, with its own torch. Small packages that
# it lacks come from build/wheels, into a folder of their own; see docs/gpu.md
GPU_PYTHON := $(if $(filter command line,$(origin PYTHON)),$(PYTHON),$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)))
WHEELS := build/wheels
SITE := build/site
.PHONY: gpu-check gpu-check-wheels

gpu-check: ## try everything on this machine's GPU (under 7 minutes) and write docs/gpu.md
	@if ls $(WHEELS)/*.whl >/dev/null 2>&1; then \
	  $(GPU_PYTHON) -m pip install --quiet --disable-pip-version-check --no-index --no-deps --upgrade \
	    --find-links $(WHEELS) --target $(SITE) $(WHEELS)/*.whl; fi
	@PYTHONPATH=$(CURDIR)/src:$(CURDIR)/kernels:$(CURDIR)/$(SITE) $(GPU_PYTHON) benchmarks/gpu_check.py $(ARGUMENTS)

gpu-check-wheels: ## collect in build/wheels the small packages that an image with CUDA lacks for gpu-check
	@rm -rf $(WHEELS)
	@PYTHONPATH=benchmarks $(GPU_PYTHON) -c 'from gpucheck.limits import WHEELS; print(*WHEELS)' | \
	  xargs $(GPU_PYTHON) -m pip wheel --quiet --disable-pip-version-check --no-deps -c constraints.txt -w $(WHEELS)
	@du -sh $(WHEELS)

classroom-base: .venv/lab ## pre-train the classroom base again, from nothing (minutes)
	@$(BIN)/python -m workbench.classroom.pretrain

clean: ## remove .venv and the caches; studies stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache

# A stamp an environment: `make` installs again only when pyproject.toml or the tested versions have changed.
.venv/lab: pyproject.toml $(TESTED)
	@echo "Installing the workbench into .venv; the first time this takes minutes ..."
	@$(PIP_INSTALL) -c $(TESTED) -e '.[lab,kernels]'
	@touch $@

.venv/test: pyproject.toml .venv/lab
	@echo "Installing what the tests need into .venv ..."
	@$(PIP_INSTALL) -c $(TESTED) -e '.[lab,test,cluster]'
	@touch $@

$(TESTED): constraints.txt | .venv/bin/python
	@grep -E '^(torch|triton)==' constraints.txt > $@

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || \
	  { echo "There is no $(PYTHON). Install Python 3.11 or newer, or name it: make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$$($(PYTHON) --version) is too old: 3.11 or newer is needed. Name another: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) can't make virtual environments. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@$(PYTHON) -m venv .venv
