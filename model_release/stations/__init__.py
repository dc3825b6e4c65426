"""The stations of the road. Each takes a release and leaves its result on it."""
