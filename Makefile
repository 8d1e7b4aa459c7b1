# What a user or a contributor types. Everything lands in .venv, demo/, .programs/ and docs/_build/,
# all of them ignored by git and removed by "make clean" (demo/ stays: it may hold your mail).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
WORKERS ?= 2
PATH := $(CURDIR)/$(BIN):$(CURDIR)/.programs/bin:$(PATH):/usr/sbin:/sbin
export PATH

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types coverage docs bench torture programs clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.installed ## install into .venv and serve the demo account on loopback, until Ctrl-C
	@trap : INT; $(BIN)/twist mailaccess --demo || [ $$? -eq 130 ]

test: $(VENV)/.installed-dev programs ## run the tests, after all the set-up they need
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile

check: lint types coverage docs ## all that a change has to pass: lint, types, tests with coverage, docs

lint: $(VENV)/.installed-dev ## ruff: rules and format
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { $(BIN)/ruff format --check .; exit 1; }

types: $(VENV)/.installed-dev ## mypy, strict
	@$(BIN)/mypy --no-error-summary

coverage: $(VENV)/.installed-dev programs ## the tests, with branch coverage of all processes they start
	@$(BIN)/coverage erase
	@status=0; $(BIN)/coverage run -m pytest -n $(WORKERS) --dist loadfile || status=$$?; \
		$(BIN)/coverage combine --quiet && $(BIN)/coverage report; exit $$status

docs: $(VENV)/.installed-dev ## build the documentation; a warning is an error
	@$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -b html docs docs/_build/html
	@$(BIN)/pydoctor --quiet --quiet || [ $$? -eq 2 ] # 2: a docstring is shown as it is written

bench: $(VENV)/.installed-dev ## measure, with the floor or a peer beside each figure
	@$(BIN)/python -m benchmarks

torture: $(VENV)/.installed-dev ## kill the server and cut its disk off, hundreds of times; nothing may be lost
	@$(BIN)/python -m tests.torture

programs: ## the mail programs that the tests use for real
	@tests/setup_programs.sh

clean: ## remove what was built and installed here, but not demo/
	@rm -rf $(VENV) .programs build dist docs/_build .mypy_cache .pytest_cache .ruff_cache \
		.hypothesis .coverage .coverage.* *.egg-info
	@find mailaccess twisted tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "mailaccess needs Python 3.11 or later; name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "This Python cannot make virtual environments: apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# The stamps are younger than pyproject.toml: what it asks for is installed.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "Installing mailaccess into $(VENV) ..."
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	@echo "Installing mailaccess and its development tools into $(VENV) ..."
	@$(PIP) install --editable '.[dev,docs]'
	@touch $@ $(VENV)/.installed
