"""Bytes ↔ arrays, one module per format. No HTTP, no model."""
