"""Train MLPs with Batch Normalization, fold the normalisation away, export and certify one ONNX file."""
