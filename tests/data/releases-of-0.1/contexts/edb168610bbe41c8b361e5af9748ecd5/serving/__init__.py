"""The server in the image: MLflow's scoring protocol over one model, with requests merged.

`python -m serving` serves the model of a context folder. The package is copied into the image as it
is and imports nothing from `model_release`.
"""
