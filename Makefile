# Every target makes the one virtual environment it needs; `make help` lists the targets.
PYTHON ?= python3
VENV   := .venv
RUN    := $(VENV)/bin/python
STAMP  := $(VENV)/.installed
DATA   ?=
SEEDS  ?= 1
OUT    ?= demo-out
PAGE   ?=
ONLY   ?=
JOBS   ?= 2

export PYTHONWARNINGS ?= ignore::DeprecationWarning

.PHONY: help demo test check docs live bench faults clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# torch goes in first and by its exact pair with torchvision: CPU machines have no other.
$(STAMP): pyproject.toml deploy/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --upgrade pip
	$(VENV)/bin/pip install --quiet -c deploy/constraints.txt torch torchvision
	$(VENV)/bin/pip install --quiet -c deploy/constraints.txt -e '.[train,yolo,dev]'
	@touch $@

demo: $(STAMP) ## three rounds on made images or DATA=<folder in COCO form>; PAGE=1: then the page
	$(RUN) -m cvat_bridge.demo --out $(OUT) $(if $(DATA),--data $(DATA)) --seeds $(SEEDS) $(if $(PAGE),--page)

test: $(STAMP) ## everything that needs no other server
	$(RUN) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -m 'not live' tests

check: $(STAMP) ## lint, format and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# Material announces its end of life (May 2027) at each build; the variable keeps that out.
docs: $(STAMP) ## the documentation into site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict --quiet

# The variables reach the suite by the environment, so that no token stands in a list of processes.
live: export CVAT_URL CVAT_TOKEN CVAT_USER_TOKEN
live: $(STAMP) ## the contract suite on a real CVAT: CVAT_URL, CVAT_TOKEN, CVAT_USER_TOKEN
	@test -n "$$CVAT_URL" && test -n "$$CVAT_TOKEN$$CVAT_USER_TOKEN" || { \
	  echo "make live needs CVAT_URL=http://… and one or both of these, in the environment:"; \
	  echo "  CVAT_TOKEN       access token of an administrator, not read-only"; \
	  echo "  CVAT_USER_TOKEN  access token of an ordinary user who may create projects, not read-only"; \
	  echo "It makes projects and tasks of its own and deletes them again. With both tokens the suite runs"; \
	  echo "in both roles; a CVAT_TOKEN of an ordinary user is tested as what it is."; exit 2; }
	@$(RUN) -m pytest -m live tests

bench: $(STAMP) ## measure; leaves tests/bench/results/*.json (ONLY=<area> for one)
	$(RUN) -m tests.bench $(if $(ONLY),--only $(ONLY)) $(if $(DATA),--data $(DATA))

faults: $(STAMP) ## try faults for about half an hour; leaves tests/bench/results/faults.json
	$(RUN) -m tests.faults

clean: ## remove what the targets made, the environment apart
	rm -rf $(OUT) build dist site *.egg-info .mypy_cache .ruff_cache
