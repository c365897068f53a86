# Each command sets itself up with git, make and Python 3.11 or newer: no root, uv or cluster.
PYTHON ?= python3
# locked: as in uv.lock; oldest: the lower bounds of both pyproject.toml; newest: what PyPI has.
VERSIONS ?= locked
# Where `make package` puts what it builds, and the tag that is its version: that of this commit.
DIST ?= dist
TAG ?= $(shell git describe --tags --exact-match --match 'v[0-9]*' --dirty 2>/dev/null)

BIN := .venv/bin
TESTS_OF_K8S := tests/tool
# The others leave uv.lock as it is.
INSTALL_locked := sync --frozen --inexact
INSTALL_oldest := pip install --python .venv --upgrade --resolution lowest-direct --group dev
INSTALL_newest := pip install --python .venv --upgrade --group dev
export UV_PYTHON_DOWNLOADS := never
# Where it is set, every process compiles Metaflow anew: `k8s check` takes more than twice as long.
unexport PYTHONDONTWRITEBYTECODE
ifeq ($(VERSIONS),oldest)
export UV_RESOLUTION := lowest-direct
endif

.PHONY: help demo test test-kind lint coverage screens package benchmark benchmark-kind organisation-check \
	docs pictures canary raise-versions
help:
	@echo "make demo       make a project from example answers, run a flow and test it"
	@echo "make test       the tests that need no cluster; LONG=1 runs the long ones too, and tries more"
	@echo "make test-kind  the tests on a real cluster; needs Docker, kind and kubectl; LONG=1 tries more"
	@echo "make lint       check this repository's style and types"
	@echo "make coverage   run the tests of the command k8s, and show the lines that they do not reach"
	@echo "make screens    write tests/screens anew: what people see at 80 columns; read what changed"
	@echo "make package    build the command k8s, mf-k8s, in dist/; its version is the tag of the commit"
	@echo "make benchmark  measure what the README says about speed, and update a fleet"
	@echo "make benchmark-kind  measure the cluster; needs Docker, kind and kubectl"
	@echo "make organisation-check  check hooks/organisation.yml"
	@echo "make docs       write what docs/ repeats of the code: pages and tables"
	@echo "make pictures   draw the pictures of README and docs; NAMES=doctor draws that one; look at them"
	@echo "make canary     the tests that find out whether the newest Metaflow, Copier, kind and Argo fit"
	@echo "make raise-versions  raise the versions and digests that this repository pins"
	@echo "PYTHON=python3.12 chooses the interpreter, VERSIONS=oldest or newest those of the packages"

$(BIN)/$(VERSIONS): pyproject.toml uv.lock template/tools/mf-k8s/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info < (3, 11) and sys.exit("Python 3.11 or newer is needed: make PYTHON=…")'
	@echo "Setting up .venv ($$($(PYTHON) --version), $(VERSIONS) versions) …"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		uv==$$(sed -n '/^name = "uv"$$/ {n; s/version = "\(.*\)"/\1/p;}' uv.lock)
	@$(BIN)/uv $(INSTALL_$(VERSIONS)) --quiet
	@touch $@

demo: $(BIN)/$(VERSIONS)
	@$(BIN)/python tests/demo.py

test: lint
	$(BIN)/pytest --numprocesses auto --dist worksteal

# two clusters at a time: those of one file are made in one process
test-kind: $(BIN)/$(VERSIONS)
	$(BIN)/pytest -m kind --numprocesses 2 --dist loadfile

lint: $(BIN)/$(VERSIONS)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

coverage: $(BIN)/$(VERSIONS)
	$(BIN)/coverage run -m pytest --quiet $(TESTS_OF_K8S)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered --show-missing

screens: $(BIN)/$(VERSIONS)
	$(BIN)/pytest --quiet --write-screens tests/tool/test_screens.py tests/template/test_places.py
	git diff --stat tests/screens

# Of one commit the same bytes everywhere: no file that git does not know, and uv_build sets all times.
package: $(BIN)/$(VERSIONS)
	@case "$(TAG)" in "" | *-dirty) \
		echo "make package: its version is the tag of the commit: commit all, then git tag v0.3.0.post1" >&2; \
		exit 1;; esac
	@rm -f $(DIST)/mf_k8s-*
	@copy=$$(mktemp -d) && trap 'rm -rf "$$copy"' EXIT && cp -R template/tools/mf-k8s/. "$$copy" && \
		git -C template/tools/mf-k8s ls-files -z --others | (cd "$$copy" && xargs -0 rm -f --) && \
		$(BIN)/uv version --quiet --frozen --project "$$copy" $(TAG:v%=%) && \
		$(BIN)/uv build --quiet --out-dir $(DIST) "$$copy"
	@ls $(DIST)/mf_k8s-*

benchmark: $(BIN)/$(VERSIONS)
	@for name in copying flow help check doctor fleet; do $(BIN)/python benchmarks/$$name.py || exit; done

benchmark-kind: $(BIN)/$(VERSIONS)
	@$(BIN)/python benchmarks/kind.py

organisation-check: $(BIN)/$(VERSIONS)
	@$(BIN)/python tests/organisation.py

docs: $(BIN)/$(VERSIONS)
	@$(BIN)/python docs/write.py
	git diff --stat docs

pictures: $(BIN)/$(VERSIONS)
	@$(BIN)/python docs/pictures.py $(NAMES)
	git diff --stat docs

canary:
	@.ci/canary

raise-versions: $(BIN)/$(VERSIONS)
	@$(BIN)/python .ci/raise_versions.py
	git diff --stat
