"""The OpenAPI document of the models as they are loaded: their features, classes and examples that work."""
