"""The process in which a model is loaded and asked, in the model's own environment.

`client` is the pipeline's side. The rest runs as `<python of the environment> -I -B <this folder>`
and imports the standard library, mlflow and what every mlflow brings (numpy, pandas). Both sides
speak in frames (`frames`): JSON and raw arrays, never a pickle.
"""
