# Everything a developer does. `make` alone lists the targets.
.DEFAULT_GOAL := help
.PHONY: help setup demo test home-assistant lint types bench fuzz week year fleet docs screenshots pictures pins build publish image app

PYTHON ?= python3
BIN := .venv/bin

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

setup: .venv/ready ## create .venv with everything, pinned and hashed

# What the program itself needs: the demo waits for no tool of developers.
.venv/run: requirements/run.txt
	@$(PYTHON) -c 'import sys; sys.exit("meterline needs Python 3.11 or newer: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv || { echo "no venv: sudo apt install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	@touch $@

.venv/ready: .venv/run requirements/dev.txt pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

ADDRESS ?= :10230

demo: .venv/run ## four simulated meters on http://localhost:10230/ (make demo ADDRESS=:10231)
	@PYTHONPATH=src $(BIN)/python -m meterline demo --web.listen-address $(ADDRESS)

WORKERS ?= 4

test: setup ## the tests (under five minutes)
	PYTHONASYNCIODEBUG=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

# Where the environment of Home Assistant is; made at the first call, in some minutes.
HOME_ASSISTANT ?= .venv-home-assistant
# Home Assistants side by side.
HOMES ?= 3

home-assistant: setup ## our meters in a real Home Assistant (about five minutes; needs mosquitto)
	$(BIN)/python tests/home_assistant/make_environment.py $(HOME_ASSISTANT)
	METERLINE_HOME_ASSISTANT=$(HOME_ASSISTANT) $(BIN)/python -m pytest tests/home_assistant $(AGAIN) -n $(HOMES) --dist worksteal

lint: setup ## ruff: style and mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## mypy --strict
	$(BIN)/mypy

bench: setup ## speed and memory, as ratios against a reference
	$(BIN)/python -m bench

fuzz: setup ## a long campaign of the properties that `make test` tries briefly
	METERLINE_EXAMPLES=20000 $(BIN)/python -m pytest -k "fuzz" -p no:cacheprovider

week: setup ## a simulated week of a B-route meter, of which `make test` plays a day
	METERLINE_DAYS=7 $(BIN)/python -m pytest -k "nightly_outage" -p no:cacheprovider

fleet: setup ## 1,000 simulated meters, two processes, two Prometheus agents, one VictoriaMetrics
	METERLINE_FLEET=1000 $(BIN)/python -m pytest tests/examples/test_fleet.py -p no:cacheprovider

year: setup ## a simulated year of both contracts, of which `make test` plays some weeks
	METERLINE_YEAR=1 $(BIN)/python -m pytest -k "simulated_year" -p no:cacheprovider

docs: setup ## write what is generated: docs/metrics.md, docs/meters.md, packaging/man/*, grafana/*.json, src/meterline/locale/currencies.py
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/generate_currencies.py
	$(BIN)/python grafana/generate.py

screenshots: setup ## take docs/page-*.png anew, of the demo (needs Chromium)
	$(BIN)/python docs/screenshots.py

pictures: setup ## take docs/home-assistant-*.png anew, of a real Home Assistant (needs Chromium and mosquitto)
	$(BIN)/python tests/home_assistant/make_environment.py $(HOME_ASSISTANT)
	METERLINE_HOME_ASSISTANT=$(HOME_ASSISTANT) $(BIN)/python docs/screenshots_home_assistant.py

pins: setup ## renew the pins and hashes (needs pip-tools in .venv)
	$(COMPILE) -o requirements/run.txt pyproject.toml
	$(COMPILE) --extra auth -c requirements/run.txt -o requirements/auth.txt pyproject.toml
	$(COMPILE) --extra holidays -c requirements/run.txt -o requirements/holidays.txt pyproject.toml
	$(COMPILE) --extra mqtt -c requirements/run.txt -o requirements/mqtt.txt pyproject.toml
	$(COMPILE) --all-extras -c requirements/auth.txt -c requirements/holidays.txt -c requirements/mqtt.txt -o requirements/dev.txt pyproject.toml

COMPILE = $(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras --no-header --no-annotate --no-emit-index-url --no-emit-trusted-host --no-emit-find-links

DIST ?= dist

build: setup ## the wheel and the sdist, in dist/
	rm -f $(DIST)/meterline-*
	$(BIN)/hatchling build --directory $(DIST)

publish: ## build and upload; needs PYPI_TOKEN in the environment, and twine
	$(if $(PYPI_TOKEN),,$(error publish: no token; put one into PYPI_TOKEN))
	$(if $(TWINE),,$(error publish: no twine; $(BIN)/pip install twine))
	@$(MAKE) --no-print-directory build
	@TWINE_USERNAME=__token__ TWINE_PASSWORD="$$PYPI_TOKEN" $(TWINE) upload --non-interactive $(DIST)/meterline-*

TWINE = $(or $(wildcard $(BIN)/twine),$(shell command -v twine))

image: ## the container images meterline, linky-exporter and smartmeter-exporter
	@docker info >/dev/null 2>&1 || { echo "image: no Docker engine answers; is it installed, and may you use it?" >&2; exit 1; }
	docker build --target linky-exporter --tag linky-exporter .
	docker build --target smartmeter-exporter --tag smartmeter-exporter .
	docker build --target meterline --tag meterline .

app: ## the app of Home Assistant OS, as a whole app repository in dist/home-assistant/
	$(PYTHON) packaging/home-assistant/assemble.py $(DIST)/home-assistant
