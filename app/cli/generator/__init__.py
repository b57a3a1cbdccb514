"""What `app add`, `app remove`, `app add-field` and `app drop-field` share.

An entity's specification stands in its folder's `__init__.py`, in the words that were typed. From it everything else is
rendered, and what is there is compared with what would be rendered: that is how a change by hand is noticed.
"""
