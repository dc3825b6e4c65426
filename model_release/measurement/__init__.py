"""Evidence for the gates: the models of a release, asked in their own environments."""
