"""The serving image and its build context: made, named by digests, signed."""
