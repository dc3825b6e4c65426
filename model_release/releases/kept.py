"""A release's files, read from its run and compared with what was written there."""

import json
from dataclasses import dataclass
from typing import Any

from model_release import commands
from model_release.errors import RefusedError, UsageError
from model_release.identity import short_id
from model_release.registry import Registry
from model_release.releases import binding
from model_release.releases.binding import FILE, PAGE, Alteration
from model_release.releases.record import Record


@dataclass(frozen=True)
class KeptRelease(Record):
    """A release as its run has it, and the registry that keeps it.

    What its stations left as files is fetched at first use, once in a process (`Runs`).
    """

    registry: Registry

    def text(self, path: str) -> str:
        """One file, such as `validate/requirements.lock`.

        Raises:
            UsageError: there is no such file, and never was.
            RefusedError: it is not as it was written.
        """
        if altered := self._altered(path):
            raise self._refusal(altered)
        return self.registry.read_run_file(self.id, path).decode("utf-8")

    def json(self, path: str) -> Any:
        """One file that holds JSON."""
        return json.loads(self.text(path))

    def alterations(self, *, page: bool) -> list[Alteration]:
        """Every tag and file that is not as it was written; `page`: the page is looked at too."""
        found = binding.rewritten(self.tags, self.bound, self._restore)
        for name in sorted({*self.tags, *self.bound}):
            if name.startswith(FILE) and (page or not name.startswith(PAGE)):
                altered = self._altered(name.removeprefix(FILE))
                found += [altered] if altered else []
        return found

    def check(self, *, page: bool = False) -> None:
        """Raise RefusedError, naming the first, where a tag or file is not as it was written."""
        for altered in self.alterations(page=page):
            raise self._refusal(altered)

    def _altered(self, path: str) -> Alteration | None:
        """How a file differs from what was written; a file that nothing binds does not."""
        expected = self.fact(FILE + path)
        if not expected:
            return None
        try:
            found = binding.sha256(self.registry.read_run_file(self.id, path))
        except UsageError:
            found = "no such file, or none that can be read"
        else:
            if found == expected:
                return None
            found = f"sha256 {found}"
        restore = self._anew if path.startswith("page/") else self._restore
        return Alteration(f"artifact {path}", f"sha256 {expected}, as written", found, restore)

    def _refusal(self, altered: Alteration) -> RefusedError:
        return RefusedError(
            f"{altered.what} of release {short_id(self.id)} of {self.model} {self.version}",
            expected=altered.expected,
            found=altered.found,
            next_step=altered.restore,
        )

    @property
    def _restore(self) -> str:
        validate = commands.station("validate", self.model, self.version)
        return (
            "find out who changed it in the registry and put it back; or validate the version "
            f"again, which begins a new release: {validate}"
        )

    @property
    def _anew(self) -> str:
        again = commands.script(
            "describe_release",
            model_name=self.model,
            model_version=self.version,
            release=self.id,
            target=commands.WHICH_TARGET,
        )
        return f"run {again}, which makes the page anew, and read it again"
