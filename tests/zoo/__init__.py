"""Models that a release must not let through, each wrong in one way, and good ones beside them.

`ground` is the data that they are measured on and the limits that they are held to, `animals` the
models themselves: one trainer each, which registers a version.
"""
