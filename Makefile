# `make demo` and `make test` do everything on a fresh machine; `make help` lists the rest.

PYTHON ?= python3
# CPU training needs no CUDA build: give another one here if you want it, e.g. TORCH=torch
TORCH ?= torch==2.13.0
# Its wheel carries the encoder that teaches (a file of 9 MB); none of what it depends on is needed.
TEACHER ?= pipecat-ai==1.14.0
# A real TensorRT that builds engines without a GPU; what it would bring for running them is left out.
TENSORRT_RTX ?= tensorrt-rtx-cu13-libs==1.7.1.116 tensorrt-rtx-cu13-bindings==1.7.1.116
# What an installation is made from: when it changes, packages are installed and the kernel compiled anew.
SOURCES = pyproject.toml hatch_build.py $(addprefix edge_ser/frontend/,kernel.c lanes.h compile.sh)
CORPORA ?= $(or $(EDGE_SER_CORPORA),../shared/corpora)
DEVICE_PYTHONS = 3.10 3.12
# Much of the suite waits: for microphones, servers and processes. A file's tests stay together.
IN_PARALLEL = -n 2 --dist loadfile
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint test-main accuracy results bench start-up cross-corpus bundled-model commercial-model bundled-model-card calibration-set event-schema pictures soak fuzz voice voice-network aarch64 gpu-test codebase clean help
.DELETE_ON_ERROR:

help: ## List the targets
	@awk -F':.*## ' '/^[a-z0-9%-]+:.*## /{printf "%-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv-demo/ready ## Base install in .venv-demo, then recognise the example clips
	.venv-demo/bin/edge-ser run --wav examples

test: lint test-main $(DEVICE_PYTHONS:%=test-device-%) ## Set everything up, check and test it

lint: .venv/ready ## ruff and mypy
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

test-main: .venv/ready ## The whole suite on PYTHON
	.venv/bin/python -m pytest $(IN_PARALLEL)

# JetPack 6 ships CPython 3.10, JetPack 7 ships 3.12; there is no torch there.
test-device-%: ## The device side on another CPython, without torch
	@if python=$$(.ci/find-python $*); then \
	  $(MAKE) --no-print-directory .venv-$*/ready DEVICE_PYTHON="$$python" && \
	  echo "device side on CPython $*" && \
	  .venv-$*/bin/python -m pytest $(IN_PARALLEL) --ignore=tests/training --ignore=tests/deploy; \
	elif [ "$(EDGE_SER_STRICT)" = 1 ]; then \
	  echo "CPython $* is not on PATH nor in pyenv, and EDGE_SER_STRICT=1" >&2; exit 1; \
	else \
	  echo "skipped: CPython $* is not on PATH nor in pyenv"; \
	fi

accuracy: .venv/ready ## Train on RAVDESS with one EmoBox fold held out, export, recognise, compare
	.venv/bin/python benchmarks/ravdess_fold.py --corpora $(CORPORA)

results: .venv/ready ## Write results/RESULTS.md and the README's summary from results/*.json
	.venv/bin/python benchmarks/write_results.py

bench: .venv-bench/ready ## Speed, size and memory beside others, in turns: benchmarks/RESULTS.md, README's table
	.venv-bench/bin/python benchmarks/speed/run_all.py

start-up: .venv-demo/ready ## Time `edge-ser --help` and one clip, whole processes
	PYTHON=$(PYTHON) benchmarks/start_up.sh

# Speech, noise and microphones of the bundled models; the other half of the crowds is for gates.
CROWDS = --corpus neutral:PicovoiceS2I=$(CORPORA)/PicovoiceS2I\#train --corpus neutral:Mycroft=$(CORPORA)/Mycroft-Precise\#train
CROWD_LICENCES = --corpus-licence PicovoiceS2I=Apache-2.0 --corpus-licence 'Mycroft=public domain'
HELD = neutral:PicovoiceS2I=$(CORPORA)/PicovoiceS2I\#held neutral:Mycroft=$(CORPORA)/Mycroft-Precise\#held
SOUNDS = --noise $(CORPORA)/SpeechCommands-noise --noise $(CORPORA)/Mycroft-noise --microphones $(CORPORA)/MicIRP
ACTED = --corpus RAVDESS=$(CORPORA)/RAVDESS --corpus EMO-DB=$(CORPORA)/EMO-DB --corpus TESS=$(CORPORA)/TESS \
  --corpus nEMO=$(CORPORA)/nEMO
SIX = neutral,happy,sad,angry,fearful,disgust
TEST_SPEAKERS = EMO-DB/11,EMO-DB/13,RAVDESS/3,RAVDESS/6,RAVDESS/11,RAVDESS/18,RAVDESS/24
LEFT_OUT = results/cross-corpus-emo-db+mycroft-train+picovoices2i-train+ravdess+tess+nemo-compact.json

cross-corpus: .venv/ready ## The bundled recipe with each corpus left out in turn, resumable: results/
	.venv/bin/edge-ser cross-validate --protocol cross-corpus --validation-speakers none --labels $(SIX) \
	  $(ACTED) $(CROWDS) $(HELD:%=--gate %) $(SOUNDS) --system compact --config results/recipes/strangers.json \
	  --threads 1 --resume

bundled-model: .venv/ready ## Train and export the model in edge_ser/assets, quantize it, measure it
	.venv/bin/edge-ser train $(ACTED) $(CROWDS) $(SOUNDS) --labels $(SIX) --test-speakers $(TEST_SPEAKERS) \
	  $(CROWD_LICENCES) \
	  --validation-speakers none --config edge_ser/assets/bundled_training.json --threads 1 --out runs/bundled
	.venv/bin/edge-ser export runs/bundled --out edge_ser/assets/edge_ser.onnx --name edge-ser-8 \
	  --decisions $(LEFT_OUT) --weights-licence "CC BY-NC-SA 4.0 (non-commercial)"
	$(MAKE) --no-print-directory calibration-set
	.venv/bin/edge-ser quantize edge_ser/assets/edge_ser.onnx --calibration calibration/default \
	  --out edge_ser/assets/edge_ser.int8.onnx
	.venv/bin/python benchmarks/write_self_test.py
	$(MAKE) --no-print-directory bundled-model-card

# The recordings' licences allow commercial use; so does the teacher's.
commercial-model: .venv/ready ## Train and export the commercial model in edge_ser/assets, quantize it
	.venv/bin/edge-ser train --corpus EMO-DB=$(CORPORA)/EMO-DB $(CROWDS) --noise $(CORPORA)/Mycroft-noise \
	  --weights-licence commercial $(CROWD_LICENCES) --test-speakers 11,13 --validation-speakers 03,08 \
	  --labels $(SIX) --config edge_ser/assets/commercial_training.json --threads 1 --out runs/commercial
	.venv/bin/edge-ser export runs/commercial --out edge_ser/assets/edge_ser_commercial.onnx --name edge-ser-commercial-1
	.venv/bin/edge-ser calibrate select --corpus EMO-DB=$(CORPORA)/EMO-DB --model edge_ser/assets/edge_ser_commercial.onnx \
	  --out calibration/commercial
	.venv/bin/edge-ser quantize edge_ser/assets/edge_ser_commercial.onnx --calibration calibration/commercial \
	  --out edge_ser/assets/edge_ser_commercial.int8.onnx
	.venv/bin/edge-ser evaluate bundled-commercial $(ACTED) $(HELD:%=--corpus %) --snr 10 --snr 0 \
	  --card edge_ser/assets/MODEL_CARD_COMMERCIAL.md

bundled-model-card: .venv/ready ## Measure the model in edge_ser/assets on its test speakers, write its card
	.venv/bin/edge-ser evaluate --corpus RAVDESS=$(CORPORA)/RAVDESS --corpus EMO-DB=$(CORPORA)/EMO-DB $(HELD:%=--corpus %) \
	  --speakers $(TEST_SPEAKERS) \
	  --recipe-results $(LEFT_OUT) --snr 20 --snr 10 --snr 5 --snr 0 --card edge_ser/assets/MODEL_CARD.md

calibration-set: .venv/ready ## Choose the windows in calibration/default again
	.venv/bin/edge-ser calibrate select --corpus RAVDESS=$(CORPORA)/RAVDESS --out calibration/default

event-schema: .venv/ready ## Write the JSON Schema of events and their page from the classes
	.venv/bin/python docs/write_event_schema.py

pictures: .venv/ready ## Draw the README's picture of the terminal
	.venv/bin/python docs/draw_terminal.py

soak: .venv/ready ## A day of audio through the streaming path (SOAK_HOURS)
	.venv/bin/python benchmarks/soak.py --hours $(or $(SOAK_HOURS),24) --corpora $(CORPORA)

fuzz: .venv/ready ## Damaged inputs by the thousand (FUZZ_EXAMPLES)
	FUZZ_EXAMPLES=$(or $(FUZZ_EXAMPLES),100000) .venv/bin/python -m pytest tests/fuzz --timeout=14400

voice-network: .venv/ready ## Write the voice detector's graph from the published weights
	.venv/bin/python benchmarks/write_voice_network.py

voice: .venv/ready ## Compare the voice detectors that are installed, write docs/voice.md
	.venv/bin/python benchmarks/voice_detectors.py --corpora $(CORPORA)

aarch64: ## Run the device side on emulated aarch64 wheels, compare with x86-64
	PYTHON=$(PYTHON) deploy/aarch64/check.sh

gpu-test: .venv/ready ## What only a CUDA device shows
	EDGE_SER_STRICT=1 .venv/bin/python -m pytest -m gpu

.venv-demo/ready: $(SOURCES)
	$(PYTHON) -m venv .venv-demo
	.venv-demo/bin/python $(PIP_INSTALL) --editable .
	touch $@

.venv/ready: $(SOURCES)
	$(PYTHON) -m venv .venv
	.venv/bin/python $(PIP_INSTALL) "$(TORCH)"
	.venv/bin/python $(PIP_INSTALL) --editable '.[dev]'
	.venv/bin/python $(PIP_INSTALL) --no-deps "$(TEACHER)" $(TENSORRT_RTX)
	touch $@

.venv-bench/ready: $(SOURCES) benchmarks/requirements.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python $(PIP_INSTALL) "$(TORCH)"
	.venv-bench/bin/python $(PIP_INSTALL) --requirement benchmarks/requirements.txt
	.venv-bench/bin/python $(PIP_INSTALL) --editable '.[train]'
	touch $@

.venv-%/ready: $(SOURCES)
	"$(DEVICE_PYTHON)" -m venv .venv-$*
	.venv-$*/bin/python $(PIP_INSTALL) --editable '.[test]'
	.venv-$*/bin/python $(PIP_INSTALL) --no-deps $(TENSORRT_RTX)
	touch $@

codebase: .venv/ready ## Count what a newcomer meets in the code, follow a chunk through it
	.venv/bin/python benchmarks/codebase.py

clean: ## Remove the virtual environments
	rm -rf .venv .venv-demo .venv-bench $(DEVICE_PYTHONS:%=.venv-%)
