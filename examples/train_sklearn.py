"""The training of the example model: a random forest on iris, registered as a model version.

    python examples/train_sklearn.py                                 # what `make release` trains
    python examples/train_sklearn.py --max-depth 1 --n-estimators 1  # worse: the gates refuse it

`MLFLOW_TRACKING_URI` is the registry that the model goes to.
"""

import argparse
import os
from collections.abc import Sequence
from importlib.metadata import version as version_of
from pathlib import Path

import matplotlib as mpl
import mlflow
import pandas as pd
from matplotlib import pyplot as plt
from mlflow import MlflowClient
from mlflow.models import ModelSignature, infer_signature
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score, precision_recall_fscore_support
from sklearn.model_selection import train_test_split

TARGET = "species"
TRUSTED_TYPES = ["sklearn.tree._tree.Tree"]
REQUIREMENTS = ("mlflow", "numpy", "pandas", "scikit-learn", "skops")
"""What the model needs. Listed, because MLflow's guess takes seconds and adds training packages."""


def parser() -> argparse.ArgumentParser:
    """The options; every default is the example's."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument(
        "--model-name",
        default=os.environ.get("MODEL_NAME", "iris-classifier"),
        help="the name to register the model under (environment: MODEL_NAME)",
    )
    options.add_argument(
        "--experiment", default="iris", help="the MLflow experiment of the run (iris)"
    )
    options.add_argument(
        "--n-estimators", type=int, default=100, help="the number of trees in the forest (100)"
    )
    options.add_argument("--max-depth", type=int, default=5, help="the depth of each tree (5)")
    options.add_argument(
        "--seed", type=int, default=42, help="the seed of the split and of the forest (42)"
    )
    options.add_argument(
        "--write-holdout", type=Path, help="also write the 20 %% test split to this CSV file"
    )
    return options


def split(seed: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series, pd.Series]:
    """Iris, 80/20, stratified: features and class index (0, 1, 2) of the training and test rows."""
    features, target = load_iris(return_X_y=True, as_frame=True)
    parts = train_test_split(
        features, target.rename(TARGET), test_size=0.2, random_state=seed, stratify=target
    )
    return parts[0], parts[1], parts[2], parts[3]


def use_experiment(name: str) -> None:
    """Select the experiment; that of an SQLite registry keeps its files beside the database."""
    database = mlflow.get_tracking_uri().removeprefix("sqlite:///")
    if Path(database).is_absolute() and mlflow.get_experiment_by_name(name) is None:
        place = Path(database).parent / "artifacts" / name
        mlflow.create_experiment(name, artifact_location=place.as_uri())
    mlflow.set_experiment(name)


def log_scores(truth: pd.Series, predicted: object) -> dict[str, float]:
    """Log accuracy, macro F1, precision and recall, and the confusion matrix as an image."""
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth, predicted, average="macro", zero_division=0
    )
    scores = {
        "accuracy": float(accuracy_score(truth, predicted)),
        "f1_macro": float(f1),
        "precision_macro": float(precision),
        "recall_macro": float(recall),
    }
    mlflow.log_metrics(scores)
    display = ConfusionMatrixDisplay.from_predictions(truth, predicted)
    mlflow.log_figure(display.figure_, "confusion_matrix.png")
    plt.close(display.figure_)
    return scores


def register(model: RandomForestClassifier, signature: ModelSignature, sample: pd.DataFrame,
             name: str, scores: dict[str, float]) -> str:  # fmt: skip
    """Log the model with signature and input example, register, describe and tag it."""
    logged = mlflow.sklearn.log_model(
        model,
        name="model",
        signature=signature,
        input_example=sample,
        registered_model_name=name,
        skops_trusted_types=TRUSTED_TYPES,
        pip_requirements=[f"{name}=={version_of(name)}" for name in REQUIREMENTS],
    )
    version = str(logged.registered_model_version)
    client = MlflowClient()
    client.update_model_version(
        name,
        version,
        f"Random forest on iris ({model.n_estimators} trees, depth {model.max_depth}); "
        f"accuracy {scores['accuracy']:.3f} on the 20 % split.",
    )
    for key, value in {"task": "classification", "framework": "scikit-learn"}.items():
        client.set_model_version_tag(name, version, key, value)
    return version


def main(argv: Sequence[str] | None = None) -> int:
    """Train, log, register; print the new version."""
    options = parser().parse_args(argv)
    mpl.use("Agg")
    train_x, test_x, train_y, test_y = split(options.seed)
    if options.write_holdout:
        test_x.assign(**{TARGET: test_y}).to_csv(options.write_holdout, index=False)
    use_experiment(options.experiment)
    with mlflow.start_run() as run:
        parameters = {
            "n_estimators": options.n_estimators,
            "max_depth": options.max_depth,
            "random_state": options.seed,
        }
        mlflow.log_params({**parameters, "test_size": 0.2})
        model = RandomForestClassifier(**parameters).fit(train_x, train_y)
        predicted = model.predict(test_x)
        scores = log_scores(test_y, predicted)
        signature = infer_signature(test_x, predicted)
        version = register(model, signature, test_x.head(3), options.model_name, scores)
    print(
        f"{options.model_name} {version}: accuracy {scores['accuracy']:.4f} (run {run.info.run_id})"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
