"""Every command beside the road, a module each, named as its script."""
