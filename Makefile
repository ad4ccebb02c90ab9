# The commands of the README and of CI. `make help` lists them.

PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
DEMO_MODELS := digits breast-cancer diabetes

.DEFAULT_GOAL := help
.PHONY: help install demo models lint format types imports proto unit coverage test soak memory bench-folding bench-serving bench-request bench-profile bench-guard bench-training bench-statistics bench-training-speed bench-step bench-certificate container-test clean chromium test-browser site docs

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/installed ## set up .venv with everything: extras cpu, train and dev

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "foldserve needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version): make PYTHON=python3.12 …"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv \
	  || { rm -rf .venv; echo "no virtual environment could be made: apt-get install python3-venv"; exit 1; }
	@echo "installing into .venv (a few minutes the first time)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[cpu,train,dev]'
	@touch $@

demo: .venv/installed ## train on scikit-learn's digits, fold, certify, publish and serve on PORT
	@$(BIN)/foldserve serve --check --quiet --port $(PORT)
	@$(BIN)/foldserve train --dataset digits
	@exec $(BIN)/foldserve serve --default-model digits --port $(PORT)

models: .venv/installed ## rebuild the committed demo models
	@rm -rf build/models
	@for name in $(DEMO_MODELS); do \
	  $(BIN)/foldserve train --dataset $$name --models-dir build/models --no-report || exit 1; \
	  mkdir -p models/$$name && rm -rf models/$$name/1 && mv build/models/$$name/1 models/$$name/1 || exit 1; \
	done

lint: .venv/installed ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: .venv/installed ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: .venv/installed ## mypy --strict on both packages
	$(BIN)/mypy

imports: .venv/installed ## the one-way imports of the architecture
	$(BIN)/lint-imports

proto: .venv/installed ## compile the messages of the gRPC door
	$(BIN)/python -m grpc_tools.protoc -I service/grpc/protos \
	  --descriptor_set_out=service/grpc/protos/served.binpb inference.proto health.proto

unit: .venv/installed ## pytest, on two cores
	$(BIN)/pytest -q -n 2 --dist worksteal

coverage: .venv/installed ## the same with branch coverage, also of the processes that tests start; half as fast
	$(BIN)/pytest -q -n 2 --dist worksteal --cov --cov-report=term

test: lint types imports unit ## every check that CI runs

CHROMIUM ?= /usr/bin/chromium
chromium:
	@test -x $(CHROMIUM) || { echo "there is no browser at $(CHROMIUM): apt-get install chromium, or make test-browser CHROMIUM=…"; exit 1; }

test-browser: chromium .venv/installed ## the page in a real browser, on two cores; needs Chromium; pictures in build/screenshots
	@rm -rf build/screenshots
	CHROMIUM=$(CHROMIUM) $(BIN)/pytest -q -n 2 --dist loadfile tests/browser

SOAK_SECONDS ?= 600
soak: .venv/installed ## ten minutes of load, swaps, killed workers and hung-up clients; lost must be 0
	$(BIN)/python -m tests.soak --seconds $(SOAK_SECONDS)

memory: .venv/installed ## 200 reloads and 200,000 requests of every size; memory must not grow by 5 %
	REQUESTS=200000 $(BIN)/pytest -q -s tests/end_to_end/test_swaps.py -k memory

bench-folding: .venv/installed ## every folder on every pattern, and what folding costs
	$(BIN)/python benchmarks/folding.py

bench-serving: .venv/installed ## the server beside its peers; needs wrk (apt-get install wrk); QUICK=1 for us alone
	$(BIN)/python benchmarks/serving.py $(if $(QUICK),--quick)

bench-request: .venv/installed ## where the microseconds of a request go
	$(BIN)/python benchmarks/request.py

bench-profile: .venv/installed ## what spends the processor time of a request behind a socket; needs wrk and perf
	$(BIN)/python benchmarks/serving_profile.py

bench-guard: .venv/installed ## instructions per request, by valgrind; fails when they grow by a tenth
	$(BIN)/python benchmarks/guard.py

bench-training: .venv/installed ## the defaults on real tables, five seeds each: an hour; what is done is kept
	$(BIN)/python benchmarks/tables.py

bench-statistics: .venv/installed ## exact statistics beside running averages, on two forms of a table
	$(BIN)/python benchmarks/exact_statistics.py

bench-training-speed: .venv/installed ## seconds per epoch beside Lightning, skorch, scikit-learn and bare products
	$(BIN)/python benchmarks/training.py --threads 1
	$(BIN)/python benchmarks/training.py

bench-step: .venv/installed ## where the microseconds of a training step go
	$(BIN)/python benchmarks/step.py

bench-certificate: .venv/installed ## what folding the shift costs, the figures of docs/decisions.md
	$(BIN)/python benchmarks/certificate.py

.venv/docs: .venv/installed
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

site: .venv/docs ## build the documentation into build/site, strictly
	$(BIN)/python -m docs.site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

docs: site ## build the site, and run every command of the pages: minutes
	$(BIN)/python -m tests.docs

container-test: ## build the image, run it, ask it, stop it
	tests/container/run

clean: ## remove .venv and everything built
	rm -rf .venv build dist .coverage* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
