"""The decision of an exported model for images: python predict.py model.onnx IMAGE…"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
labels = json.loads(session.get_modelmeta().custom_metadata_map["labels"])
scores = [output.name for output in session.get_outputs() if output.name != "model_inputs"]

for path in sys.argv[2:]:
    image = ImageOps.exif_transpose(Image.open(path))  # upright
    if image.has_transparency_data:  # transparent pixels on white
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    pixels = np.asarray(image.convert("RGB"))  # uint8 (height, width, 3), of any size
    answer = dict(zip(scores, session.run(scores, {"image": pixels}), strict=True))
    print(f"{path},{labels[answer['decision'][0]]},{answer['probability'][0]:.6f}")
