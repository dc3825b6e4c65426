# Two commands matter: `make release` and `make test`. Everything else is listed by `make help`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

# Options of `make release`, given as MODEL=… VERSION=… TARGET=… CONTEXT=… APPROVE=… REASON=…, else by the
# variables that the scripts read.
# Values, never text that make or a shell expands: `override` and `value` take them as they were given.
override MODEL := $(or $(value MODEL),$(value MODEL_NAME),iris-classifier)
override VERSION := $(or $(value VERSION),$(value MODEL_VERSION))
override TARGET := $(or $(value TARGET),$(value RELEASE_TARGET),local)
override CONTEXT := $(or $(value CONTEXT),$(value KUBE_CONTEXT))
override APPROVE := $(or $(value APPROVE),$(value RELEASE_APPROVER))
override REASON := $(or $(value REASON),$(value ROLLBACK_REASON))
OPTIONS ?=
export MODEL_NAME := $(MODEL)
export MODEL_VERSION := $(VERSION)
export RELEASE_TARGET := $(TARGET)
export KUBE_CONTEXT := $(CONTEXT)
export RELEASE_APPROVER := $(APPROVE)
export ROLLBACK_REASON := $(REASON)

.PHONY: help release train image status stop rollback history audit test test-long lint lock schema venv dev clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

release: venv ## take a model version from the registry to champion (MODEL= VERSION= TARGET= APPROVE=)
	@python scripts/run_release.py

train: venv ## train another version of the example (OPTIONS="--n-estimators 200 --max-depth 8")
	@mkdir -p "$${RELEASE_HOME:-$(CURDIR)/.release}"
	@MLFLOW_TRACKING_URI="$${MLFLOW_TRACKING_URI:-sqlite:///$${RELEASE_HOME:-$(CURDIR)/.release}/mlflow.db}" \
	  python examples/train_sklearn.py $(OPTIONS)

image: venv ## the image of a version that passes its gates (MODEL= VERSION= IMAGE_REGISTRY= BASE_IMAGE= PUSH=1)
	@IMAGE_REGISTRY="$${IMAGE_REGISTRY:-$(if $(PUSH),,local)}" python scripts/build_image.py --validate $(if $(PUSH),--push)

status: venv ## what serves what
	@python scripts/release_status.py

stop: venv ## end what `make release` left serving on this machine
	@python scripts/release_status.py --stop

rollback: venv ## go back to the champion before (MODEL= REASON= TARGET=; VERSION= names another)
	@python scripts/rollback_model.py

history: venv ## who was champion from when to when, and why (MODEL=)
	@python scripts/release_history.py

audit: venv ## compare ledger, aliases, files, images and servers (MODEL= TARGET=; OPTIONS=--fix)
	@python scripts/audit_release.py $(OPTIONS)

# In the order of the files: the short unit tests come last and fill what the long groups leave.
test: dev ## the test suite, in minutes; what takes longer is left to test-long
	@python -m pytest -n auto --dist loadgroup --no-loadscope-reorder -m "not long"

test-long: dev ## the rest: the whole road, killed at every step, a full disk, a week of releases, models that hang
	@python -m pytest -n auto --dist loadgroup --no-loadscope-reorder -m long

lint: dev ## ruff, mypy --strict, import-linter, check-jsonschema, zizmor, actionlint, shellcheck
	@ruff check .
	@ruff format --check .
	@mypy
	@lint-imports
	@check-jsonschema --schemafile models/schema.json models/*.yaml
	@check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yaml
	@check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yaml
	@check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	@zizmor --quiet --offline --persona pedantic .github
	@actionlint
	@shellcheck $$(git grep -lE '^#!.*\b(ba)?sh$$')

lock: $(VENV)/uv ## compile requirements*.in to requirements*.txt, with hashes
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes requirements.in -o requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes requirements-dev.in -o requirements-dev.txt

schema: venv ## write models/schema.json and docs/gates.md from the gates' own definitions
	@python scripts/describe_gates.py --write

venv: $(VENV)/ready
dev: $(VENV)/ready-dev

clean: stop ## remove the environment and everything releases left here
	rm -rf $(VENV) .release

$(VENV)/uv:
	@[ -n "$(PYTHON)" ] && $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "Python 3.11 is needed, found: $$($(PYTHON) --version 2>&1 || echo none); install it or pass PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "→ environment: $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@awk '/^uv==/ {found = 1} found {print} found && !/\\$$/ {exit}' requirements.txt >$(VENV)/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt
	@touch $@

$(VENV)/ready: $(VENV)/uv requirements.txt pyproject.toml
	@echo "→ dependencies from requirements.txt, by hash"
	@uv pip install --python $(BIN)/python --require-hashes --compile-bytecode -r requirements.txt
	@uv pip install --python $(BIN)/python --quiet --no-deps --editable .
	@touch $@

$(VENV)/ready-dev: $(VENV)/ready requirements-dev.txt
	@echo "→ development dependencies from requirements-dev.txt, by hash"
	@uv pip install --python $(BIN)/python --require-hashes -r requirements-dev.txt
	@touch $@
