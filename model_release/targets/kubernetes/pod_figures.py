"""What a pod says of itself in `/metrics`, held against what the replay saw of it.

A model runs in the process that counts its requests, and may change the counts. A server counts an
answer before it sends it, and nothing is replayed while `/metrics` is read: an honest server has
always counted what was seen of it. How long answers took inside of the pod cannot be held against
the outside, where the way through the proxy counts as well: that is judged by comparison alone.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from model_release.targets.kubernetes.canary_analysis import Sample

LINE = re.compile(
    r"^(serving_requests_total|serving_stage_seconds_bucket)\{([^}\n]{1,200})\} (\S{1,40})$",
    re.MULTILINE,
)
LABEL = re.compile(r'(\w+)="([^"\\]*)"')


@dataclass(frozen=True)
class Exchange:
    """A replayed request, as the replay saw it.

    Args:
        seconds: until the whole answer was here.
        status: of the answer.
        own: whether the pod itself answered beyond doubt; else it may have been a proxy.
    """

    seconds: float
    status: int
    own: bool


def sample(exchanges: Iterable[Exchange]) -> Sample:
    """Replayed requests in the terms in which pods count theirs."""
    known = list(exchanges)
    errors = sum(each.status != 200 for each in known)
    return Sample(len(known), errors, dict(Counter(each.seconds for each in known)))


def read_metrics(text: str) -> Sample:
    """Counts of a server since its start, from its Prometheus exposition.

    Raises:
        ValueError: no server counts so; says what it found.
    """
    answers = errors = 0.0
    cumulated: dict[float, float] = {}
    for name, labelled, value in LINE.findall(text):
        labels, count = dict(LABEL.findall(labelled)), _number(value)
        if not (math.isfinite(count) and count >= 0):
            raise ValueError(f"{name} is {value!r}")
        if name == "serving_requests_total":
            answers += count
            errors += count if labels.get("status") != "200" else 0
        elif labels.get("stage") == "total":
            cumulated[_number(labels.get("le", ""))] = count
    latency, below = {}, 0.0
    for bound, count in sorted(cumulated.items()):
        if math.isnan(bound) or count < below:
            raise ValueError(f"a histogram with {count:.15g} at {bound:g} s, {below:.15g} below")
        latency[bound] = count - below
        below = count
    return Sample(answers, errors, latency)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def contradiction(before: Sample, now: Sample, seen: Sequence[Exchange]) -> str:
    """What a server cannot have counted.

    Args:
        before: its counts when it was last asked.
        now: its counts.
        seen: what was replayed to it between both.

    Returns:
        What it counted and what was seen, or "".
    """
    counted = now - before
    good = counted.requests - counted.errors
    if min(good, counted.errors, *counted.latency.values()) < 0:
        return f"counted backwards: {_told(before)} became {_told(now)}"
    own = sample(each for each in seen if each.own)
    for what, told, found in (
        ("errors", counted.errors, own.errors),
        ("answers with status 200", good, own.requests - own.errors),
    ):
        if told < found:
            return f"counted {told:.15g} {what}, seen were {found:.15g}"
    # Several workers are not read at one moment: each request is in both by the next look.
    if _answered(now) < before.requests or now.requests < _answered(before):
        return f"counted {now.requests:.15g} requests, and {_answered(now):.15g} in its histogram"
    return ""


def _answered(counts: Sample) -> float:
    return sum(counts.latency.values())


def _told(counts: Sample) -> str:
    return f"{counts.requests:.15g} requests with {counts.errors:.15g} errors"


@dataclass
class Container:
    """One start of a pod's server: what it says of itself, and what was seen of it.

    Args:
        first: its counts when it was first asked, None before.
        last: its counts when it last told them.
        heard: what was replayed to it since it was last asked.
        untold: what was replayed to it since it last told its counts.
        doubtful: answers that a proxy may have given, while it has not answered again itself.
        seen: the replayed requests by which it is judged.
        silent: whether it did not tell its counts when it was last asked.
    """

    first: Sample | None = None
    last: Sample | None = None
    heard: list[Exchange] = field(default_factory=list)
    untold: list[Exchange] = field(default_factory=list)
    doubtful: list[Exchange] = field(default_factory=list)
    seen: list[Exchange] = field(default_factory=list)
    silent: bool = False

    @property
    def counted(self) -> Sample:
        """What it has counted since it was first asked."""
        if self.first is None or self.last is None:
            return Sample()
        return self.last - self.first

    def settle(self) -> bool:
        """Take up what was heard; say whether it answered at all.

        A proxy's error tells nothing about a pod that goes or starts anew. Of one that answers
        again later it is an error as callers see it.
        """
        own = [each for each in self.heard if each.own]
        if own:
            self.seen += self.doubtful
            self.doubtful = []
        self.seen += own
        self.doubtful += [each for each in self.heard if not each.own]
        self.untold += self.heard
        self.heard = []
        return bool(own)

    def read(self, text: str | None, *, answered: bool) -> str:
        """Take up its `/metrics`; say what they cannot be, or "".

        Args:
            text: None where they were not told.
            answered: whether it answered what was replayed since it was last asked.
        """
        if text is None:
            mute, self.silent = self.silent and answered, True
            return "answers requests, but does not tell its counts" if mute else ""
        self.silent = False
        try:
            now = read_metrics(text)
        except ValueError as error:
            return f"tells impossible counts: {error}"
        before, seen = self.last, self.untold
        self.last, self.untold = now, []
        if before is None:
            self.first = now
            return ""
        return contradiction(before, now, seen)
