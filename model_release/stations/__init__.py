"""The stations of a release, in modules named as their scripts; `run_release` runs them all."""
