"""The stations of a release, in `commands.STATIONS` in order; each records its result on it."""
