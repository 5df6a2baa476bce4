# make run          the app, on http://127.0.0.1:7860
# make test         lint, types, cards, unit, app and browser tests, Chromium included
# make test-slow    hosting environments, kill and resume, replicas, audits and hunts over all of it, cards
# make lint         ruff and mypy
# make docs       weights/README.md and the figures in docs/ from the cards, the tables of docs/api.md
# make bench        every benchmark; prints tables, appends to benchmarks/results/
# make train-NAME   python -m train.NAME; options by ARGS, as in: make train-digits ARGS="--smoke"

VENV := .venv
PY := $(VENV)/bin/python
BENCHMARKS := $(basename $(notdir $(shell grep -l __main__ benchmarks/*.py)))

.PHONY: run test test-slow lint docs bench FORCE
.DEFAULT_GOAL := run

run: $(VENV)/.app
	$(PY) app.py

test: $(VENV)/.dev
	$(PY) -m tests.chromium
	$(MAKE) --no-print-directory lint
	$(PY) -m tasks.core.model_pages --check
	OMP_NUM_THREADS=1 $(PY) -m pytest -m "not slow" -n 2 --dist loadfile $(ARGS)

test-slow: $(VENV)/.dev
	$(PY) -m tests.chromium
	$(PY) -m pytest -m slow $(ARGS)

lint: $(VENV)/.dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

docs: $(VENV)/.dev
	$(PY) -m tasks.core.model_pages
	$(PY) -m docs.api_tables

bench: $(VENV)/.dev
	set -e; for name in $(BENCHMARKS); do $(PY) -m benchmarks.$$name $(ARGS); done

train-%: $(VENV)/.dev FORCE
	$(PY) -m train.$* $(ARGS)

# The environment. Each stamp is newer than what it was made from, so a second run installs nothing.

$(PY):
	@for python in $(PYTHON) python3 python3.12 python3.13 python3.11; do \
	  if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	    echo "$(VENV): $$($$python --version)"; exec $$python -m venv $(VENV); \
	  fi; \
	done; \
	echo "Python 3.11 or newer with its venv module is needed and was not found (Debian: apt install python3-venv)." \
	  "Name it if it lies elsewhere: make run PYTHON=/path/to/python3" >&2; \
	exit 1

$(VENV)/.app: requirements.txt packages.txt | $(PY)
	$(PY) -m pip install -r requirements.txt
	@$(PY) -c 'import cv2' >/dev/null 2>&1 || { \
	  test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -q \
	  && apt-get install -qy --no-install-recommends $$(cat packages.txt) && $(PY) -c 'import cv2'; \
	} || { echo "OpenCV lacks system libraries. Debian and Ubuntu: sudo apt install $$(cat packages.txt | tr '\n' ' ')" >&2; \
	  exit 1; }
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.app
	$(PY) -m pip install -r requirements-dev.txt
	@touch $@
