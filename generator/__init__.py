"""The commands that write code: `app add`, `app remove`, `app add-field` and `app drop-field`.

This package imports `app`, is never imported by it, and is not in a server's image.

An entity's specification stands in its folder's `__init__.py`, in the words that were typed. From it everything else is
rendered, and what is there is compared with what would be rendered: that is how a change by hand is noticed.
"""
