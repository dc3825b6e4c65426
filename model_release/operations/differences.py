"""The differences between the ledger and what is there, each with its cause and its mend."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from model_release import commands
from model_release.identity import Identity, short_id
from model_release.releases.binding import Alteration
from model_release.releases.history import CHAMPION, PREVIOUS, Entry, misspelt


@dataclass(frozen=True)
class Difference:
    """One thing that is not as the ledger says.

    Args:
        kind: stable name, such as alias-moved.
        model: name of the model.
        expected: what the ledger says.
        found: what is there.
        cause: what has likely happened.
        mend: the command that mends it.
        fixable: whether `--fix` does that.
    """

    kind: str
    model: str
    expected: str
    found: str
    cause: str
    mend: str
    fixable: bool = False


@dataclass(frozen=True)
class Served:
    """What production serves of a model.

    Args:
        identity: what its servers answer to `GET /model`.
        replicas: how many serve; 0 where all died.
        state: of that release in the ledger: open, refused, released, superseded, unknown.
        promotable: whether it came as far as production and waits for its promotion.
    """

    identity: Identity
    replicas: int
    state: str
    promotable: bool = False


@dataclass(frozen=True)
class Seen:
    """One model as ledger, registry, image registry and target have it.

    Args:
        model: name of the model.
        current: the ledger's last move of the champion.
        under_way: a move that was decided and not closed, for longer than it should take.
        previous: the version that `previous-champion` should point to, "" where unknown.
        aliases: of the model in the registry; None where the model is gone.
        recorded: digest of the champion's release.
        files: digest of the version's files now; "" where its files are gone, None where the
            version is.
        altered: tags and files of the champion's release that are not as they were written.
        behind: tags of releases that do not repeat the ledger, in words.
        claims: releases that claim to be champion by their tags, when there are several.
        served: what production serves; None for nothing.
        changes: what differs between the target's objects and what the release deploys, in words.
        pods: servers that answer as something else, in words.
        build: what is wrong with the image or context that the champion is started from.
        target: name of the target, for commands.
    """

    model: str
    current: Entry | None = None
    under_way: Entry | None = None
    previous: str = ""
    aliases: Mapping[str, str] | None = field(default_factory=dict)
    recorded: str = ""
    files: str | None = ""
    altered: Sequence[Alteration] = ()
    behind: Sequence[str] = ()
    claims: Sequence[str] = ()
    served: Served | None = None
    changes: str = ""
    pods: Sequence[str] = ()
    build: str = ""
    target: str = "local"

    @property
    def fix(self) -> str:
        """The command that mends what is safe to mend."""
        return commands.audit(self.model, fix=True, target=self.target)

    def back(self, reason: str) -> str:
        """The rollback to the champion before."""
        return commands.rollback(self.model, reason=reason, target=self.target)

    @property
    def restore(self) -> str:
        """The rollback to the champion as it was released."""
        return commands.rollback(
            self.model,
            release=self.current.release if self.current else "",
            reason="production is not as released",
            target=self.target,
        )


def differences(seen: Seen) -> list[Difference]:
    """Everything that is not as the ledger says, the most urgent first."""
    found = list(_claims(seen))
    if seen.under_way:
        return [*found, _unfinished(seen, seen.under_way)]
    for part in (_version, _alias, _files, _evidence, _served, _build, _behind):
        found += part(seen)
    return found


def _claims(seen: Seen) -> Iterator[Difference]:
    for alias, version in (seen.aliases or {}).items():
        if told := misspelt(alias):
            yield Difference(
                "two-champions", seen.model, f"one alias {told}", f"{alias} at version {version}",
                "somebody set an alias by hand; they are case-sensitive",
                f"delete the alias {alias} of {seen.model} in the registry",
            )  # fmt: skip
    if len(seen.claims) > 1 and not seen.behind:  # if behind, their writer was killed
        yield Difference(
            "two-champions", seen.model, "one release that says it is champion",
            ", ".join(seen.claims), "somebody changed the tags of a release by hand",
            seen.fix, fixable=True,
        )  # fmt: skip


def _unfinished(seen: Seen, entry: Entry) -> Difference:
    what = f"{entry.kind} to version {entry.after} finished"
    found = f"decided {entry.at} by {entry.by}, not closed"
    if entry.kind == "rollback":
        mend = commands.resume(seen.model, entry.release, seen.target)
        return Difference(
            "rollback-unfinished", seen.model, what, found, "its process was killed", mend
        )
    return Difference(
        "promotion-unfinished" if entry.kind == "promotion" else "move-unfinished",
        seen.model, what, found, "its process was killed", seen.fix, fixable=True,
    )  # fmt: skip


def _version(seen: Seen) -> Iterator[Difference]:
    if seen.current and (seen.aliases is None or seen.files is None):
        yield Difference(
            "version-deleted", seen.model, f"champion version {seen.current.after}",
            "no such version",
            "somebody deleted it in the registry, its aliases with it",
            seen.back("champion version deleted"),
        )  # fmt: skip


def _alias(seen: Seen) -> Iterator[Difference]:
    aliases, current = seen.aliases or {}, seen.current
    found = aliases.get(CHAMPION, "")
    if current is None:
        if found:
            yield Difference(
                "alias-moved", seen.model, "no champion yet", f"champion at version {found}",
                "somebody set the alias by hand; that version was never released",
                commands.release(seen.model, found, target=seen.target),
            )  # fmt: skip
        return
    if seen.files is not None and found != current.after:
        yield Difference(
            "alias-moved", seen.model, f"champion at version {current.after}",
            f"at version {found}" if found else "no alias champion",
            "somebody moved or deleted the alias by hand", seen.fix, fixable=True,
        )  # fmt: skip
    previous = aliases.get(PREVIOUS, "")
    if seen.previous and previous and previous != seen.previous:
        yield Difference(
            "previous-moved", seen.model, f"{PREVIOUS} at version {seen.previous}",
            f"at version {previous}", "somebody moved the alias by hand", seen.fix, fixable=True,
        )  # fmt: skip


def _files(seen: Seen) -> Iterator[Difference]:
    if seen.current and seen.files is not None and seen.recorded not in ("", seen.files):
        yield Difference(
            "files-changed", seen.model, f"version {seen.current.after} with {seen.recorded}",
            seen.files or "no files",
            "somebody wrote to the version's files after they were approved; production still "
            "serves what was approved",
            f"restore the files of {seen.model} {seen.current.after} in the artifact store, or "
            f"go back: {seen.back('files changed after approval')}",
        )  # fmt: skip


def _evidence(seen: Seen) -> Iterator[Difference]:
    for each in seen.altered:
        yield Difference(
            "evidence-changed", seen.model, f"{each.what}: {each.expected}", each.found,
            "somebody wrote to the release's run after its stations did", each.restore,
        )  # fmt: skip


def _served(seen: Seen) -> Iterator[Difference]:
    current, served = seen.current, seen.served
    wanted = _shown(current.after, current.release) if current else "nothing"
    restore = seen.restore
    if served is None or not served.replicas:
        if current and current.release:
            yield Difference(
                "nothing-serves", seen.model, wanted,
                "no server" if served is None else "no server that answers",
                "somebody ended or deleted it, or it died", restore,
            )  # fmt: skip
    elif not current or served.identity.release != current.release:
        found = f"{_shown(served.identity.version, served.identity.release)}, {served.state}"
        if served.promotable:
            promote = commands.script(
                "promote_model",
                model_name=seen.model,
                model_version=served.identity.version,
                release=served.identity.release,
                target=seen.target,
            )
            yield Difference(
                "promotion-unfinished", seen.model, wanted, found,
                "it was deployed and its promotion did not happen",
                promote if not current else f"{promote}; if that is refused: {restore}",
                fixable=True,
            )  # fmt: skip
        else:
            anew = commands.release(seen.model, target=seen.target)  # replaces what serves
            yield Difference(
                "deployment-changed", seen.model, wanted, found,
                "somebody deployed it without a release, or edited the deployment",
                restore if current else anew,
            )  # fmt: skip
    elif served.identity.digest != seen.recorded or seen.changes:
        yield Difference(
            "deployment-changed", seen.model, f"{wanted} as released",
            seen.changes or f"digest {served.identity.digest}",
            "somebody edited the deployment, for example with kubectl edit", restore,
        )  # fmt: skip
    for pod in seen.pods:
        yield Difference(
            "pods-differ", seen.model, f"every pod answers as {wanted}", pod,
            "a pod that serves belongs to something else, or does not answer", restore,
        )  # fmt: skip


def _build(seen: Seen) -> Iterator[Difference]:
    if seen.current and seen.build:
        image = seen.target != "local"
        yield Difference(
            "image-gone" if image else "context-gone", seen.model,
            f"what version {seen.current.after} is started from", seen.build,
            "the image registry was cleaned up" if image else "the state folder was cleaned up",
            f"release version {seen.current.after} again while it serves, or go back: "
            + seen.back("its image is gone" if image else "its context is gone"),
        )  # fmt: skip


def _behind(seen: Seen) -> Iterator[Difference]:
    for text in seen.behind:
        yield Difference(
            "tags-behind", seen.model, "releases that repeat the ledger", text,
            "a process was killed right after it closed a move", seen.fix, fixable=True,
        )  # fmt: skip


def _shown(version: str, release: str) -> str:
    return f"version {version}, release {short_id(release) or 'unknown'}"
