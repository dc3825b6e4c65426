"""The commands that are not stations of the release; each module is named as its script."""
