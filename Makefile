# Every target makes the virtual environment it needs; nothing has to be installed first.
# Another Python:  make test PYTHON=python3.13 VENV=.venv-3.13

PYTHON ?= python3
VENV ?= .venv
HTML ?= build/html
SPHINX_OPTIONS = -q -n -W --keep-going -c .
# All forms of the book are written from one reading, in which the examples run.
SPHINX = $(RUN) -m sphinx $(SPHINX_OPTIONS) -d build/doctrees
CHROMIUM ?= $(firstword $(shell command -v chromium chromium-browser google-chrome))

# Tests that are not traced.  A traced test takes several times as long, and these reach no line that
# the others do not reach: the tests of the book, of OTP's suites and of the record, and two that run
# the scenarios of others in many variants.  The last three end threads in crowds.
APART = tests/docs tests/otp tests/explore/test_declared.py tests/hosting/test_judge_hosted.py tests/test_beam.py tests/test_values.py tests/test_soak.py tests/test_growth.py tests/test_many_threads.py

RUN = $(VENV)/bin/python
PIP = $(RUN) -m pip install -qq --disable-pip-version-check
BOOK = $(VENV)/.book
READY = $(VENV)/.ready

# One process a core.
PYTEST = $(RUN) -m pytest -q -n auto

.DEFAULT_GOAL := help
.PHONY: help alone html html-live epub pdf forms linkcheck serve quick test traced untraced coverage soak shake bench bench-live bench-faults beam picture format lint check clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# What the book needs, and no more; pip installs dependency groups since version 25.1.
$(BOOK): pyproject.toml
	@echo "making $(VENV) with $$($(PYTHON) --version), and installing what the book needs: about a minute"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=...")'
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) "pip>=25.1"
	@$(PIP) -e . --group docs
	@touch $@

$(READY): $(BOOK)
	@echo "installing what the tests and the checks need: about a minute"
	@$(PIP) -e . --group dev
	@touch $@

html: $(BOOK) ## build the book
	@echo "building the book, whose examples run meanwhile: about a minute"
	@$(SPHINX) docs $(HTML)
	@echo "open file://$(abspath $(HTML))/index.html"

html-live: $(BOOK) ## build the book with Python in its pages, which npm fetches
	@PYTHONPATH=docs $(RUN) -m _ext.pyodide build/pyodide
	@echo "building the book, whose examples run meanwhile: about a minute"
	@$(SPHINX) -D live_python=build/pyodide docs build/html-live
	@echo "open file://$(abspath build/html-live)/try-it.html"

epub: $(BOOK) ## the book as an EPUB
	@$(SPHINX) -b epub docs build/epub
	@echo "open build/epub/driverref.epub"

pdf: $(BOOK) ## the book as a PDF, printed by Chromium
	@test -n "$(CHROMIUM)" || { echo "Chromium prints the PDF: apt install chromium, or make pdf CHROMIUM=..." >&2; exit 1; }
	@$(SPHINX) -b singlehtml docs build/singlehtml
	@echo "printing build/driverref.pdf: some minutes"
	@$(CHROMIUM) --headless --no-sandbox --disable-gpu --no-pdf-header-footer \
		--print-to-pdf=build/driverref.pdf "file://$(abspath build/singlehtml/index.html)" 2>build/chromium.log \
		|| { cat build/chromium.log >&2; exit 1; }
	@echo "open build/driverref.pdf"

# Each form that Sphinx writes, strictly: the tables are in it, and nothing is left out.
forms: $(BOOK)
	@for form in epub latex text man; do $(SPHINX) -b $$form docs build/$$form || exit 1; done

linkcheck: $(BOOK) ## try the book's links to other hosts
	@$(RUN) -m sphinx -n --keep-going -c . -d build/doctrees -b linkcheck docs build/linkcheck

serve: $(READY) ## serve the book and rebuild it on change
	@$(RUN) -m sphinx_autobuild $(SPHINX_OPTIONS) -d build/doctrees --watch driverref --watch tests --watch conf.py --re-ignore __pycache__ docs $(HTML)

quick: $(READY) ## the loop while you work: no test that compiles, builds, starts a process or searches long
	@$(PYTEST) -m "not slow" -x --ff tests driverref

test: $(READY) ## run every test: pages, docstrings, modules, audits
	@$(PYTEST)

traced: $(READY)
	@mkdir -p build
	@$(PYTEST) --cov --cov-report=term tests driverref $(APART:%=--ignore=%)

untraced: $(READY)
	@$(PYTEST) $(APART) docs README.md

# Python 3.11 may never come back from a thread's end that it clears away within a greenlet while it
# is traced.  Later ones trace otherwise, so the newest at hand is taken; then this one runs every test.
coverage: ## run every test, and demand that all lines and branches were run
	@newest=$$(.ci/newest-python $(PYTHON)); \
	if [ -z "$$newest" ]; then $(MAKE) --no-print-directory traced untraced; \
	else $(MAKE) --no-print-directory traced PYTHON="$$newest" VENV=.venv-newest && \
	$(MAKE) --no-print-directory test; fi

soak: $(READY) ## the long run on OS threads: ten times the jobs of the test run
	@DRIVERREF_SOAK=10 $(RUN) -m pytest -q -s --timeout 1800 tests/test_soak.py

shake: $(READY) ## the tests on OS threads, their threads slowed at random: a test that races fails
	@$(PYTEST) -m native -p shake --ignore=tests/test_soak.py

bench: $(READY) ## measure, print ours, theirs and the ratio
	@$(RUN) tests/benchmarks/bench.py

bench-live: $(READY) ## measure Python in the page: first output, and schedules a second against native
	@$(RUN) tests/benchmarks/live.py

bench-faults: $(READY) ## play the drivers broken on purpose on the real emulator, alone, under valgrind and the sanitizers
	@$(RUN) tests/benchmarks/faults.py

beam: $(READY) ## play on the real emulator, and compare orders and values with the model; OTP="27 29" unpacks newer ones
	@for release in $(OTP); do tests/beam/newer-otp $$release build/otp-$$release || exit 1; done
	@$(RUN) tests/beam/play.py $(OTP:%=build/otp-%)

picture: $(READY) ## draw the README's picture anew
	@PYTHONPATH=docs $(RUN) -m _ext.picture

format: $(READY) ## put the code into its format
	@$(RUN) -m ruff check -q --fix --exit-zero .
	@$(RUN) -m ruff format -q .

lint: $(READY) ## format, lint, types, spelling
	@$(RUN) -m ruff format --check -q .
	@$(RUN) -m ruff check -q --output-format concise .
	@$(RUN) -m mypy
	@$(RUN) -m codespell_lib

# With what the book needs and no more: the tests' packages would hide that one is missing.
alone:
	@$(MAKE) --no-print-directory html VENV=.venv-book

check: lint coverage alone forms ## the gate: lint, tests, coverage under the newest Python, strict book

clean: ## remove what was built
	@rm -rf build .venv .venv-* .mypy_cache .pytest_cache .ruff_cache .hypothesis
