# make demo: install, train the packaged sample on the CPU, measure, export, restyle.
# make test: install, run the tests.   make test-long: run those that take five seconds and more.
# make docs: build the site in build/site.   make coverage: which lines and branches the quick tests reach.
PYTHON ?= python3
BIN := .venv/bin
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet
RUN := runs/demo
HOW := $(if $(wildcard $(RUN)/config.json),--resume,--minutes 6)
# The PSNR of the test pictures to the truth must improve by 1.5 dB over the content, which has 20.03 dB
PROMISE := --fail-under truth_psnr=21.53

.PHONY: demo test test-long coverage docs soak lint web clean

demo: $(BIN)/.installed
	@echo "The demo: about 6 minutes of training on the CPU (a slow one takes longer, and is told how long), then scores and pictures"
	$(BIN)/python scripts/train.py --run $(RUN) $(HOW)
	$(BIN)/kgan sample $(RUN)/sample
	$(BIN)/python scripts/stylize.py $(RUN)/sample/testA --model $(RUN)/model.tflite --output $(RUN)/stylized --overwrite
	$(BIN)/python scripts/evaluate.py $(RUN) $(PROMISE)
	@echo
	@echo "Look at      $(RUN)/samples (content | stylized | truth) and $(RUN)/stylized"
	@echo "Activate     . $(BIN)/activate"
	@echo "Curves       tensorboard --logdir runs"
	@echo "Your own     kgan train --content PHOTOS --style PAINTINGS"

# The tests of the web page run if Chromium and npm are installed
test test-long: $(BIN)/.installed-dev
	@if command -v chromium >/dev/null && command -v npm >/dev/null; then $(MAKE) --no-print-directory web || echo "make web failed: no tests of the page"; fi
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -m $(if $(filter test,$@),"not long",long)

# Processes that the tests start are measured too. What is left out is named in pyproject.toml
coverage: $(BIN)/.installed-dev
	$(BIN)/python -m pytest -m "not slow and not long" --cov --cov-report=term:skip-covered

# Every warning is an error; the tutorial is executed again when it has changed. No downloads
docs: $(BIN)/.installed-docs
	$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --quiet -d build/doctrees docs build/site
	@echo "Look at build/site/index.html"

# LiteRT.js and its WebAssembly for the page of kgan web, as pinned by kgan/web/package-lock.json (needs npm)
VENDOR := kgan/web/static/vendor
web: $(VENDOR)/NOTICE

$(VENDOR)/NOTICE: kgan/web/package-lock.json kgan/web/vendor.sh
	sh kgan/web/vendor.sh build/web $(VENDOR)

# Kill a training 50 times, mostly while it saves: make soak ROUNDS=200
ROUNDS := 50
soak: $(BIN)/.installed-dev
	$(BIN)/python scripts/soak.py --rounds $(ROUNDS)

lint: $(BIN)/.installed-dev
	$(BIN)/pre-commit run --all-files

$(BIN)/.installed: setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "kgan needs Python 3.11 or newer; try make PYTHON=python3.12")'
	@echo "Installing TensorFlow and what else kgan needs into .venv: some minutes and 2.5 GB, once"
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade pip
	$(PIP) --editable .
	@touch $@

$(BIN)/.installed-dev: $(BIN)/.installed
	$(PIP) --editable '.[dev]'
	@touch $@

$(BIN)/.installed-docs: $(BIN)/.installed
	$(PIP) --editable '.[docs]'
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info scripts/client/build
