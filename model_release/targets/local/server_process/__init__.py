"""A local model server: the process that keeps it (`__main__`), and the one that it keeps."""
