"""The networks that learn, and how one becomes ONNX."""
