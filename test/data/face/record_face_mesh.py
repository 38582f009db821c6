# SPDX-License-Identifier: Apache-2.0
"""Record what MediaPipe's own Python says about faces and their irises in test images, as numbers to compare with.

Runs in an environment of its own, which needs nothing of this package::

    python -m venv mp && mp/bin/pip install mediapipe==0.10.21
    mp/bin/python test/data/face/record_face_mesh.py TESTDATA test/data/face/face_mesh_0_10_21.npz
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import mediapipe as mp
import numpy as np

FOLDERS = ("face", "body2d/coco_mini", "body2d/mpii", "body2d/crowdpose", "body2d/aic")
#: Pixels are kept in tenths.
PER_PIXEL = 10


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("testdata", type=Path)
    parser.add_argument("output", type=Path)
    args = parser.parse_args()
    names, faces = [], []
    with mp.solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=10, refine_landmarks=True) as model:
        for folder in FOLDERS:
            for path in sorted((args.testdata / folder).rglob("*")):
                if path.suffix not in (".jpg", ".png"):
                    continue
                image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
                height, width = image.shape[:2]
                for found in model.process(image).multi_face_landmarks or ():
                    names.append(str(path.relative_to(args.testdata)))
                    faces.append([[p.x * width, p.y * height] for p in found.landmark])
    landmarks = np.rint(np.array(faces) * PER_PIXEL).astype(np.int16)
    np.savez_compressed(args.output, files=np.array(names), landmarks=landmarks, per_pixel=PER_PIXEL,
                        mediapipe=mp.__version__)


if __name__ == "__main__":
    main()
