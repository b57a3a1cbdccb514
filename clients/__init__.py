"""Typed clients of the API, in Python and TypeScript: `make clients` writes them from its OpenAPI document."""
