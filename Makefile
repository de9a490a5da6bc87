# What people type. Each target builds the virtual environment it needs first, from exact versions with hashes.

SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
RUN := .venv/.run-stamp
DEV := .venv/.dev-stamp

# Their environment must not lead our commands astray.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV DJANGO_SETTINGS_MODULE

.PHONY: help run test check bench bench-large faults screenshots browser

help:
	@echo "make run          the portal with demo data, workers and the Amplitude sandbox; Ctrl-C ends it"
	@echo "make test         all tests, a browser included"
	@echo "make check        linters, types, import rules, missing migrations, container files, known holes"
	@echo "make bench        benchmarks with their ratios, ten minutes at most"
	@echo "make bench-large  the same with millions of events"
	@echo "make faults       the fault catalogue: what goes wrong, and what becomes of the data"
	@echo "make screenshots  the pictures of docs/screenshots"

# exec: the signals that reach make's child reach the supervisor itself.
run: $(RUN)
	@exec $(PYTHON) -m exports_portal.supervisor

test: $(DEV) browser
	@$(PYTHON) -m pytest -n 2 --dist loadfile $(ARGS)

check: $(DEV)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/hadolint Dockerfile
	.venv/bin/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml docker-compose.machines.yml
	$(PYTHON) -m tests.with_servers $(PYTHON) manage.py makemigrations --check --dry-run
	PORTAL_HTTPS=1 $(PYTHON) -m tests.with_servers $(PYTHON) manage.py check --deploy --fail-level WARNING
	@$(PYTHON) -m tests.audit_dependencies

bench: $(DEV)
	@$(PYTHON) -m benchmarks $(ARGS)

bench-large: $(DEV)
	@$(PYTHON) -m benchmarks --large $(ARGS)

faults: $(DEV)
	@$(PYTHON) -m tests.faults $(ARGS)

screenshots: $(DEV) browser
	@$(PYTHON) -m tests.screenshots

browser: $(DEV)
	@sh .ci/install-browser.sh

$(RUN): requirements.lock
	@sh .ci/install-packages.sh requirements.lock
	@touch $@

$(DEV): requirements-dev.lock
	@sh .ci/install-packages.sh requirements-dev.lock
	@touch $@ $(RUN)
