"""The commands that are no station, each in the module of its script's name, and their parts."""
