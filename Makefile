# Each target is a thin line over a real command; `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: dashboards dashboard-previews help venv lock up down status test lint test-unit test-unit-stack test-unit-package test-package test-pythons test-roles test-stack test-long test-alert-mutations alert-rules retention bench-shipping bench-bulk bench-redaction fuzz bench-metrics bench docs test-pages test-elasticsearch test-playbooks test-ingest bench-detection bench-incidents bench-erasure fire fire-all quiet-hour

PYTHON := .venv/bin/python
# Molecule and ansible-lint start ansible-playbook by name.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
# For `make test-long`: with a stand-in for the program, or of a role that the quick tests try without a host, or that is part of the
# scenario log_store (which has a cluster on each host; one cluster of two is looked at by the scenario elasticsearch alone).
LONG_SCENARIOS := logstash kibana dead_mans_switch certificates package_repository elasticsearch
# The longest first, so that the two that run side by side end at about the same time.
LONGEST_SCENARIOS := django_logging prometheus log_store rsyslog_ingest
SCENARIOS := $(LONGEST_SCENARIOS) \
  $(filter-out $(LONGEST_SCENARIOS) $(LONG_SCENARIOS),$(patsubst molecule/%/molecule.yml,%,$(wildcard molecule/*/molecule.yml)))
# Of `make fuzz`.
SECONDS ?= 60
# Of `make quiet-hour`.
MINUTES ?= 15
# Of `make test-ingest`.
export HOST PORT NAME CA CERT KEY ES ES_CA ES_USER ES_PASSWORD ES_API_KEY ENVIRONMENT DEAD_LETTERS
SIDE_BY_SIDE = $(MAKE) --no-print-directory --jobs=2 --keep-going
PACKAGE_TESTS := $(PYTHON) -m pytest -q -c python_handlers/pyproject.toml --rootdir python_handlers python_handlers/tests

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

venv: ## Install what the control node needs: Debian packages and .venv
	@lab/prepare-control-node.sh

up: venv ## The main job: hosts, playbooks/site.yml, example application, traffic, a look at the result
	$(PYTHON) -m lab up

status: venv ## Hosts, events stored, targets, where to look
	$(PYTHON) -m lab status

down: venv ## Remove the lab's hosts, network and secrets (the cache of downloads stays)
	$(PYTHON) -m lab down

fire: venv ## Make the cause of an alert on the running lab and follow it to its receiver: ALERT=PaymentSystemDown (or several names)
	@$(PYTHON) -m lab fire $(if $(strip $(ALERT)),$(ALERT),--list)

fire-all: venv ## All alerts, from cause to receiver and back, on the running lab; a table of seconds (about half an hour)
	$(PYTHON) -m lab fire $(FIRE)

quiet-hour: venv ## Normal traffic on the running lab: no alert may fire. With compressed time; MINUTES=15
	$(PYTHON) -m lab quiet-hour --minutes $(MINUTES)

test: venv ## All that CI runs; replaces a running lab and removes it at the end
	@$(SIDE_BY_SIDE) lint test-unit-stack test-unit-package
	@$(MAKE) --no-print-directory test-roles
	@# The main job and what mostly waits leave room for each other.
	@$(SIDE_BY_SIDE) test-stack test-package test-elasticsearch test-pages test-playbooks

lint: venv ## Style, types, playbooks, roles, generated files
	ruff check alertmanager elk_templates python_handlers lab tests roles molecule
	ruff format --check alertmanager elk_templates python_handlers lab tests roles molecule
	mypy
	cd python_handlers && mypy
	yamllint --strict .
	ansible-lint --offline --profile production

test-unit: venv ## Quick tests that need no host (under a minute)
	@$(SIDE_BY_SIDE) --output-sync=target test-unit-stack test-unit-package

test-unit-stack: venv # of roles, lab, rules and pages
	$(PYTHON) -m pytest -q tests/unit roles/alertmanager/tests roles/log_store/tests roles/rsyslog_ingest/tests roles/logstash/tests roles/kibana/tests roles/dead_mans_switch/tests

test-unit-package: venv # of logbastion
	$(PACKAGE_TESTS) -m 'not integration and not packaging'

test-package: venv ## Tests of logbastion that start servers, workers or build the wheel
	$(PACKAGE_TESTS) -m 'integration or packaging'

test-pythons: venv ## The package's quick tests under each Python (3.10 to 3.14) that is on PATH, with Django 4.2 to 6.0
	cd python_handlers && tox run

test-pages: venv build/promtool/usr/bin/promtool ## The pages on a real Prometheus, looked at in Chromium; photographs in build/pages
	$(PYTHON) -m pytest -q tests/pages

test-playbooks: venv ## Playbooks for operations against directories that stand in for hosts (a minute or two)
	$(PYTHON) -m pytest -q tests/playbooks

test-elasticsearch: venv ## What needs the store but no host, on a real Elasticsearch that runs for these tests alone
	$(PYTHON) -m pytest -q tests/elasticsearch

test-roles: venv ## The molecule scenarios of five roles (of the other six: make test-long), on Debian 12 and 13; two at a time
	@$(SIDE_BY_SIDE) $(SCENARIOS:%=test-role-%)

test-role-%: venv
	@mkdir -p build/molecule && echo "==> $*: molecule test -s $*, its output is in build/molecule/$*.log"
	@begin=$$(date +%s); if molecule test -s $* >build/molecule/$*.log 2>&1; \
	  then echo "==> $*: passed in $$(($$(date +%s) - begin)) s"; else cat build/molecule/$*.log; echo "==> $*: failed"; exit 1; fi

test-stack: venv ## The main job on fresh hosts, twice, with wrong input, looked at from outside
	$(PYTHON) -m pytest -q tests/retention tests/stack

test-ingest: venv ## The contract of an ingest, against any that runs: HOST=..., then what it needs (tests/ingest/README.md)
	$(PYTHON) -m pytest -q tests/ingest/test_contract.py

test-long: test ## `make test`, then what is slower: a million events through kills and outages, damaged spools, a full disk, changes of alert rules, the other six scenarios, every alert from its cause to its receiver (more than two hours)
	@$(MAKE) --no-print-directory $(LONG_SCENARIOS:%=test-role-%)
	$(PYTHON) -m pytest -q -s tests/long
	DETECTION_FAILURES=10000 $(PACKAGE_TESTS) -k eight_processes
	INCIDENT_LINES=20000 $(PACKAGE_TESTS) -k eight_workers
	@$(MAKE) --no-print-directory test-archives-long test-erasure-long
	@$(MAKE) --no-print-directory test-alert-mutations
	@# On a lab of its own, which is gone afterwards.
	@$(PYTHON) -m lab up && $(PYTHON) -m lab fire && $(PYTHON) -m lab quiet-hour && $(PYTHON) -m lab down

.PHONY: test-archives-long test-erasure-long retention-picture
test-archives-long: venv build/versitygw/versitygw ## Archives on a real S3 server, 2600 simulated nights, 200 000 lines through rotations (9 minutes; needs Go 1.25)
	S3_SERVER=$(CURDIR)/build/versitygw/versitygw $(PACKAGE_TESTS) -k archives_s3
	RETENTION_DAYS=2600 RETENTION_LINES=200000 $(PACKAGE_TESTS) -o timeout=3600 -k 'simulated_nights or four_writers_lose or four_processes_lose'

test-erasure-long: venv build/versitygw/versitygw ## Erasure killed at 50 points of files, spool and each kind of archive; 200 000 lines of four writers meanwhile (three minutes; needs Go 1.25)
	S3_SERVER=$(CURDIR)/build/versitygw/versitygw ERASURE_KILLS=50 ERASURE_LINES=200000 $(PACKAGE_TESTS) -s -o timeout=1200 -k 'after_a_kill_at_any_point or four_writers_meanwhile'

# Two minutes of compiling; go.sum says what it is made of.
build/versitygw/versitygw: python_handlers/tests/versitygw/go.sum
	@mkdir -p build/versitygw
	cd python_handlers/tests/versitygw && GOFLAGS=-mod=readonly go build -o $(CURDIR)/$@ github.com/versity/versitygw/cmd/versitygw

test-alert-mutations: venv build/promtool/usr/bin/promtool ## Change each alert rule in each place: do the tests notice? (MUTATIONS="--alert NAME" tries a part)
	$(PYTHON) alertmanager/mutate.py --promtool build/promtool/usr/bin/promtool $(MUTATIONS)

# Not installed: Debian's package would start a Prometheus that listens in clear.
build/promtool/usr/bin/promtool:
	@mkdir -p build/promtool/package
	cd build/promtool/package && apt-get download prometheus && dpkg-deb --extract prometheus_*.deb ..

retention: venv ## Make ILM and SLM policies, lifecycle templates and the table of periods from elk_templates/retention.yml
	$(PYTHON) elk_templates/retention.py

dashboards: venv ## Make what Kibana imports (elk_templates/dashboards/built) from elk_templates/dashboards/*.yml
	$(PYTHON) elk_templates/kibana_dashboards.py

dashboard-previews: venv ## Draw docs/dashboards/*.png from what the example logs, in a real Elasticsearch (a minute or two)
	PYTHONPATH=python_handlers/src $(PYTHON) -m tests.dashboards.preview
retention-picture: venv ## Draw how much room log files take over 2600 simulated days: docs/log-disk-use.svg (6 to 8 minutes)
	cd python_handlers && PYTHONPATH=src:tests ../$(PYTHON) -m benchmarks.retention_years --output ../docs/log-disk-use.svg

alert-rules: venv ## Make what is generated in alertmanager/: burn-rate rules, pages, the dashboard for Grafana, the index of the runbooks
	$(PYTHON) alertmanager/generate.py

bench-shipping: build/bench-venv/requirements.txt ## Shipping measured beside its peers; writes build/bench-shipping.json; OPTIONS="--measure flow --repeat 1" for a part
	cd python_handlers && ../build/bench-venv/bin/python -m benchmarks.shipping --output ../build/bench-shipping.json $(OPTIONS)

bench-bulk: venv build/bench-venv/requirements.txt ## Documents into the running lab's Elasticsearch, by `logbastion` and by the official client's parallel_bulk in turns (two minutes)
	destination=$$($(PYTHON) -m lab host address observer):9200 && cd python_handlers && ../build/bench-venv/bin/python -m benchmarks.bulk \
		--destination $$destination --ca-file ../secrets/lab/certificates/ca/ca.crt --password-file ../secrets/lab/passwords/log_writer $(OPTIONS)

fuzz: build/fuzz-venv/requirements.txt ## Redaction, formatter and spool reader fuzzed with atheris; SECONDS=60 for all targets together
	cd python_handlers && PYTHONPATH=.:src:tests ../build/fuzz-venv/bin/python -m fuzz --seconds $(SECONDS) --directory ../build/fuzz

bench: venv ## What redaction finds, what it changes in ordinary lines, what it costs, and its share of a logging call (about a minute)
	cd python_handlers && PYTHONPATH=src:tests ../$(PYTHON) -m benchmarks.redaction --quick

bench-redaction: venv ## `make bench` with all secrets of the corpus, then texts of 1 MiB made to be slow (some minutes)
	cd python_handlers && PYTHONPATH=src:tests ../$(PYTHON) -m benchmarks.redaction

bench-metrics: venv ## What counting a log record or a request costs, and what a scrape of eight workers takes
	cd python_handlers && PYTHONPATH=src ../$(PYTHON) -m benchmarks.metrics

bench-detection: venv ## What a failed log-in and a request wait for detection, with Redis and with PostgreSQL on this machine
	cd python_handlers && PYTHONPATH=src:tests ../$(PYTHON) -m benchmarks.detection

bench-incidents: venv ## What an ordinary line that is no incident costs with 10, 50 and 100 patterns
	cd python_handlers && PYTHONPATH=src:tests ../$(PYTHON) -m benchmarks.incidents

bench-erasure: venv build/versitygw/versitygw ## One user of ten thousand erased from a million events in files, S3, spool and Elasticsearch: minutes, memory, everybody else counted (five minutes; needs Go 1.25)
	cd python_handlers && S3_SERVER=$(CURDIR)/build/versitygw/versitygw PYTHONPATH=..:src:tests ../$(PYTHON) -m benchmarks.erasure

build/bench-venv/requirements.txt: python_handlers/benchmarks/requirements.txt
	/usr/bin/python3 -m venv build/bench-venv
	build/bench-venv/bin/python -m pip install --quiet --disable-pip-version-check -r $< -e python_handlers
	cp $< $@

build/fuzz-venv/requirements.txt: python_handlers/fuzz/requirements.txt
	/usr/bin/python3 -m venv build/fuzz-venv
	build/fuzz-venv/bin/python -m pip install --quiet --disable-pip-version-check -r $< -e python_handlers
	cp $< $@

docs: venv ## Generate the roles' READMEs from their argument_specs
	for role in roles/*/; do aar-doc "$$role" markdown; done

lock: venv ## Pin the control node's packages (pyproject.toml) in requirements.lock
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
	  --custom-compile-command 'make lock' --group pyproject.toml:test pyproject.toml -o requirements.lock
