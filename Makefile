# Two commands on a fresh machine: `make demo` and `make test`. Each makes .venv when it is missing or out of date.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt
INPUTS := pyproject.toml constraints.txt

.PHONY: demo test lint clean

demo: $(VENV)/.demo
	$(BIN)/diffdrive demo --out out/demo

test: $(VENV)/.test lint
	# Two workers of one thread each: two of two would fight over two cores. Files in the order of tests/conftest.py.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 15

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# What the demo needs: 123D logs, the renderer, pictures. No SUMO, no Lightning.
$(VENV)/.demo: $(INPUTS)
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[data,render,viz]'
	touch $@

# Everything, SUMO included.
$(VENV)/.test: $(INPUTS)
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[data,train,render,world,viz,export,cluster,ros2,dev]'
	touch $(VENV)/.demo $@

clean:
	rm -rf $(VENV) out build dist *.egg-info
