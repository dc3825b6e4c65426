"""Models that a release must not let through, each wrong in one way, and good ones beside them.

`limits` has the data that they are measured on and the limits that they are held to, `models` the
models themselves: one trainer each, which registers a version.
"""
