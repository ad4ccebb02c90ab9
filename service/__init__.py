"""Serve ONNX models over HTTP. Knows nothing of how they were trained."""

__version__ = "0.1.0"
