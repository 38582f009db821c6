# SPDX-License-Identifier: Apache-2.0
# Everything a newcomer needs. `make` alone says what there is.

PYTHON ?= python3
VENV ?= .venv
SOURCE ?=
ARGS ?=
TESTDATA ?= $(or $(POSE_ROS_TESTDATA),../shared/testdata)

bin := $(abspath $(VENV))/bin
stamps := $(VENV)/stamps
pip := $(bin)/pip install --quiet --disable-pip-version-check --use-pep517 --constraint requirements/pins.txt

# A test that hangs fails, with the stack of every thread.
hang := -o faulthandler_timeout=900 -o faulthandler_exit_on_timeout=true
# Most tests of nodes wait for other processes and for messages: two at a time, more where there are more cores.
WORKERS ?= $(shell n=$$(nproc); echo $$(( n < 2 ? 2 : n > 8 ? 8 : n )))

# A ROS 2 or another environment that this shell has set up must not leak into ours, which is a ROS 2 prefix itself.
unexport PYTHONPATH PYTHONHOME LD_LIBRARY_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE
export VIRTUAL_ENV := $(abspath $(VENV))
export AMENT_PREFIX_PATH := $(VIRTUAL_ENV)
export CMAKE_PREFIX_PATH := $(VIRTUAL_ENV)
export ROS_DISTRO := jazzy
export PATH := $(bin):$(PATH)
# Demonstrations and tests stay on this machine.
export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST

interfaces := $(sort $(wildcard interfaces/*/package.xml interfaces/*/*/*))
definitions := package.xml CMakeLists.txt $(wildcard cmake/* msg/* srv/*)
shared := $(wildcard config/* launch/*)

.DEFAULT_GOAL := help
.PHONY: help env demo test lint types bench docs clean

help:  ## this list
	@echo 'make demo [SOURCE=...]  see body, hand and face: camera, estimator and recorder over ROS 2; results in out/'
	@echo '                        SOURCE: a video, image, image folder, camera number, stream URL or bag'
	@echo 'make test [ARGS=...]    all tests; ARGS go to pytest, e.g. ARGS="-k blazepose -x"'
	@echo '                        WORKERS=$(WORKERS): how many at a time; 0: in this process, for a debugger'
	@echo 'make env                only the environment in $(VENV), which the others make when they need it'
	@echo 'make lint types         ruff and mypy'
	@echo 'make bench [TESTDATA=...]  speed and accuracy beside MediaPipe; TESTDATA: folder of the test data'
	@echo 'make docs               the pages of docs/ as a site in out/docs'
	@echo 'make clean              delete $(VENV), build/, install/, log/ and out/'
	@echo 'PYTHON=python3.x        the interpreter to make the environment with (3.10 to 3.13; here: $(PYTHON))'

env: $(stamps)/package

demo: env
	@$(bin)/pose-ros up config/demo.yaml $(if $(SOURCE),--source '$(SOURCE)') $(ARGS)

# dlib-68 was trained on pictures that may not be used commercially; it is only compared with dlib here.
test: env $(stamps)/dev
	@$(bin)/pose-ros models fetch --all-from-pypi --accept-licence dlib-68
	@$(bin)/python test/web/browser.py || echo 'pose_ros: the web page is not tested in a browser, then'
	@$(bin)/python -m pytest $(hang) --numprocesses $(WORKERS) --dist worksteal $(ARGS)

lint: $(stamps)/dev
	@$(bin)/ruff check $(ARGS)

types: env $(stamps)/dev
	@$(bin)/mypy $(ARGS)

bench: env $(stamps)/dev $(stamps)/mediapipe
	@$(bin)/pose-ros models fetch --all-from-pypi --accept-licence dlib-68
	$(bin)/python benchmarks/messages.py
	$(bin)/python benchmarks/runtimes.py
	$(bin)/python benchmarks/decoders.py
	$(bin)/python benchmarks/depth.py
	$(bin)/python benchmarks/scenes.py
	$(bin)/python benchmarks/lifting.py $(TESTDATA)
	$(bin)/python benchmarks/tracking.py
	$(bin)/python benchmarks/manipulation.py
	$(bin)/python benchmarks/average_precision.py
	$(bin)/pose-ros bench stages
	$(bin)/pose-ros bench ros --rate 30 --sizes 640x480 1920x1080 --transports raw compressed
	$(bin)/pose-ros eval --data coco/person_keypoints.json:$(TESTDATA)/body2d/coco_mini --model blazepose-full
	$(bin)/python benchmarks/networks.py $(TESTDATA)
	$(bin)/python benchmarks/animals.py $(TESTDATA)
	$(bin)/pose-ros eval --boxes keypoints --model dlib-68 mediapipe-face-mesh-iris \
	    --data 300w/test_300w.json:$(TESTDATA)/face/300w --data 300w-lp/test_300wlp.json:$(TESTDATA)/face/300wlp \
	    --data 300vw/anno_300vw.json:$(TESTDATA)/face/300vw --data wflw/test_wflw.json:$(TESTDATA)/face/wflw \
	    --data lapa/test_lapa.json:$(TESTDATA)/face/lapa --data cofw/test_cofw.json:$(TESTDATA)/face/cofw \
	    --data aflw/test_aflw.json:$(TESTDATA)/face/aflw
	$(bin)/python benchmarks/blazepose.py --testdata $(TESTDATA) --mediapipe-python $(VENV)/mediapipe/bin/python
	$(bin)/python benchmarks/hands.py $(TESTDATA)
	$(bin)/python benchmarks/mediapipe.py --testdata $(TESTDATA) --mediapipe-python $(VENV)/mediapipe/bin/python
	$(bin)/pose-ros bench beside --mediapipe-python $(VENV)/mediapipe/bin/python

docs: $(stamps)/docs
	@$(bin)/python -m sphinx -q -W --keep-going -b html docs out/docs
	@echo 'out/docs/index.html'

clean:
	rm -rf $(VENV) build install log out *.egg-info

$(stamps)/venv: requirements/check.py
	@$(PYTHON) requirements/check.py
	@echo 'pose_ros: making a Python environment in $(VENV)'
	@$(PYTHON) -m venv $(VENV)
	@printf '%s\n' '' '# This environment is a ROS 2 prefix, too.' \
	    'export AMENT_PREFIX_PATH="$$VIRTUAL_ENV" CMAKE_PREFIX_PATH="$$VIRTUAL_ENV" ROS_DISTRO=jazzy' >> $(bin)/activate
	@for shell in sh bash zsh; do \
	    echo '# colcon looks for this file in a prefix; bin/activate sets all there is to set.' > $(VENV)/local_setup.$$shell; \
	done
	@mkdir -p $(stamps) && touch $@

$(stamps)/run: $(stamps)/venv requirements/run.txt requirements/ros.txt requirements/pins.txt
	@echo 'pose_ros: getting ROS 2 Jazzy, OpenVINO, OpenCV and their kin from PyPI (some minutes the first time)'
	@$(pip) -r requirements/run.txt -r requirements/ros.txt
	@touch $@

$(stamps)/dev: $(stamps)/run requirements/dev.txt requirements/docs.txt
	@echo 'pose_ros: getting pytest, ruff, mypy, colcon and PyTorch from PyPI (PyTorch brings CUDA: some GB)'
	@$(pip) -r requirements/dev.txt
	@touch $@

$(stamps)/docs: $(stamps)/venv requirements/docs.txt requirements/pins.txt
	@$(pip) -r requirements/docs.txt
	@touch $@

$(stamps)/mediapipe:
	@echo 'pose_ros: getting MediaPipe, to compare with, into an environment of its own'
	@$(bin)/python -m venv $(VENV)/mediapipe
	@$(VENV)/mediapipe/bin/pip install --quiet --disable-pip-version-check mediapipe==0.10.21
	@touch $@

$(stamps)/interfaces: $(stamps)/run $(interfaces) cmake/install.sh cmake/wheel_targets.cmake
	@for package in $(notdir $(wildcard interfaces/*_msgs)); do \
	    [ ! -e $(VENV)/share/$$package ] || [ -e $(VENV)/build/$$package ] || continue; \
	    echo "pose_ros: building the messages of $$package"; \
	    cmake/install.sh $(VENV) interfaces/$$package || exit 1; \
	done
	@touch $@

$(stamps)/package: $(stamps)/interfaces $(definitions) $(shared)
	@echo 'pose_ros: building its own messages, linking its sources'
	@cmake/install.sh $(VENV) . -DAMENT_CMAKE_SYMLINK_INSTALL=ON -DPOSE_ROS_EDITABLE=ON
	@touch $@
