"""The evidence that gates judge: measured facts as plain values, from `measurement.collector`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from model_release.metrics.bootstrap import PairedSample


@dataclass(frozen=True)
class Files:
    """The version in the registry. `recorded` is the digest of this release, once there is one."""

    name: str
    version: str
    status: str
    digest: str
    recorded: str | None
    count: int
    size_bytes: int


@dataclass(frozen=True)
class Environment:
    """The model's locked environment. `problem` is the reason why there is none.

    `unprotected` is what this system cannot keep from the code of a model that it judges.
    """

    python_logged: str
    python_image: str
    packages: int = 0
    lock_sha256: str = ""
    seconds: float = 0.0
    problem: str = ""
    unprotected: Sequence[str] = ()


@dataclass(frozen=True)
class SerializedFile:
    """One file that runs code when it is loaded, with every name that it would import.

    `format` is "pickle", "skops", "python" or "unknown". `problem` says why the file could not be
    read to its end.
    """

    path: str
    format: str
    imports: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Serialization:
    """The flavors of the model (python_function only when it is alone) and its risky files."""

    flavors: tuple[str, ...]
    files: tuple[SerializedFile, ...]


@dataclass(frozen=True)
class Load:
    """The load in a process of its own; `memory_bytes` is the peak of it and what it started."""

    seconds: float = 0.0
    memory_bytes: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Column:
    """A column, a tensor or a parameter of a signature; `type` as MLflow writes it."""

    name: str
    type: str
    required: bool = True


@dataclass(frozen=True)
class Signature:
    """What a model accepts and answers. `None` where its signature does not say."""

    version: str
    inputs: tuple[Column, ...] | None
    outputs: tuple[Column, ...] | None
    params: tuple[Column, ...] = ()
    has_input_example: bool = False


@dataclass(frozen=True)
class Signatures:
    """The challenger's signature and the champion's, where there is a champion."""

    challenger: Signature
    champion: Signature | None


@dataclass(frozen=True)
class Claims:
    """The metrics that were logged for the model (last value of each), and `by` what."""

    by: str
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Slice:
    """Metrics of the rows in which `column` has `value`."""

    column: str
    value: str
    rows: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Scores:
    """One pass over the holdout: what was measured, beside what was claimed.

    `sample` holds champion and challenger on the same rows; None when there is no champion.
    `problem` says why the model could not be scored, `champion_problem` why the champion could not.
    """

    rows: int = 0
    measured: Mapping[str, float] = field(default_factory=dict)
    claimed: Mapping[str, float] = field(default_factory=dict)
    slices: tuple[Slice, ...] = ()
    champion_version: str | None = None
    champion_measured: Mapping[str, float] = field(default_factory=dict)
    sample: PairedSample | None = None
    problem: str = ""
    champion_problem: str = ""


@dataclass(frozen=True)
class Timing:
    """Latencies in milliseconds, and the size of the model's files on disk in bytes."""

    single_ms: tuple[float, ...]
    batch_ms: tuple[float, ...]
    batch_rows: int
    size_bytes: int
    problem: str = ""


@dataclass(frozen=True)
class Rows:
    """Answers to rows alone, compared with the answers to the same rows in a batch.

    `differences` has one entry a row: the largest absolute difference beyond the tolerance, 0.0
    where they agree, infinity where the answers have another shape or type.
    """

    differences: tuple[float, ...]
    problem: str = ""


@dataclass(frozen=True)
class Golden:
    """The requests and answers that later smoke tests repeat.

    Each case is {"name", "request", "predictions"}: a scoring request body and what MLflow's
    scoring protocol answers under "predictions".
    """

    cases: tuple[Mapping[str, object], ...]
    problem: str = ""
