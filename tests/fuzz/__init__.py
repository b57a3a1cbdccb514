"""Schemathesis against the whole API: `python -m tests.fuzz`, or `make fuzz`.

Nothing here names a feature: operations come from the application's own document, rows from its own POSTs.
"""
