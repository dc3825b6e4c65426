"""LitServe over one MLflow model: `python litserve_app.py SETTINGS`, in an environment of its own.

`SETTINGS` is JSON: {"model", "port", "batch", "wait", "workers", "servers", "fast_queue"}. The app
reads `dataframe_split`, merges rows into one frame and asks the pyfunc model, as its guides do.
"""

import json
import sys
from typing import Any

import litserve
import pandas as pd
from fastapi import Request


class ModelAPI(litserve.LitAPI):  # type: ignore[misc]  # its types are not installed here
    """Reads rows, predicts them together, answers as MLflow does."""

    def __init__(self, model: str, batch: int, wait: float) -> None:
        super().__init__(max_batch_size=batch, batch_timeout=wait, api_path="/invocations")
        self._folder = model

    def setup(self, device: str) -> None:
        """Load the model, once a worker."""
        import mlflow

        del device
        self._model = mlflow.pyfunc.load_model(self._folder)

    def decode_request(self, request: Request, **_: Any) -> Any:
        """The rows and their columns."""
        return request["dataframe_split"]  # LitServe hands on the JSON

    def batch(self, inputs: list[Any]) -> Any:
        """The rows of all requests in one frame; every request has one."""
        rows = [each["data"][0] for each in inputs]
        return pd.DataFrame(rows, columns=inputs[0]["columns"])

    def predict(self, x: Any, **_: Any) -> Any:
        """Ask the model."""
        if isinstance(x, dict):  # without batching there is no frame yet
            x = pd.DataFrame(x["data"], columns=x["columns"])
            return self._model.predict(x).tolist()[0]
        return self._model.predict(x)

    def unbatch(self, output: Any) -> list[Any]:
        """One answer a request."""
        items: list[Any] = output.tolist()
        return items

    def encode_response(self, output: Any, **_: Any) -> Any:
        """As MLflow answers one row."""
        return {"predictions": [output]}


def main() -> None:
    """Serve until SIGTERM."""
    settings = json.loads(sys.argv[1])
    server = litserve.LitServer(
        ModelAPI(settings["model"], settings["batch"], settings["wait"]),
        accelerator="cpu",
        workers_per_device=settings["workers"],
        fast_queue=settings["fast_queue"],
    )
    server.run(
        host="127.0.0.1",
        port=settings["port"],
        num_api_servers=settings["servers"],
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )


if __name__ == "__main__":
    main()
