"""One upgrade of what a slot serves: canary, rollout, bake; or everything as before."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from model_release.config.kubernetes_settings import Kubernetes
from model_release.errors import OutsideError, RefusedError, ReleaseError
from model_release.report import DetailedError, Table
from model_release.report.progress import Tell
from model_release.targets import Deployment, Verify
from model_release.targets.kubernetes import canary_analysis
from model_release.targets.kubernetes.canary import AnalysisRun, canary_table
from model_release.targets.kubernetes.diagnostics import causes, diagnose
from model_release.targets.kubernetes.kubectl import Kubectl
from model_release.targets.kubernetes.lease import Lease
from model_release.targets.kubernetes.manifests import CANARY, SPARE_SECONDS, STABLE, Workload
from model_release.targets.kubernetes.pods import check_pods, verify_pods
from model_release.targets.kubernetes.rollout import Pod, follow, look, until_gone
from model_release.targets.kubernetes.slot import Good, Slot, minimum
from model_release.waiting import polls

RETRY_SECONDS = 120.0
"""How long an API server that is away is waited for, to put things back as they were."""

PUT_BACK_SECONDS = 300.0
WATCH_SECONDS = 1.0


@dataclass
class Upgrade:
    """A deploy under way. It holds the lease.

    Args:
        slot: where.
        deployment: what.
        settings: the model's `kubernetes` section.
        manifest: the release's manifests.
        good: what was last good here, or None.
        lease: asked before every change.
        progress: told how it goes.
        verify: the smoke suite.
        base: base URL of the API server's proxy for this namespace.
    """

    slot: Slot
    deployment: Deployment
    settings: Kubernetes
    manifest: str
    good: Good | None
    lease: Lease
    progress: Tell
    verify: Verify
    base: str
    tables: list[Table] = field(default_factory=list)
    began: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")

    def run(self) -> None:
        """Deploy; on any failure put back what was, and say so.

        Raises:
            DetailedError: it failed; where production is as before, that was seen and is said.
        """
        try:
            if self.slot.environment == "production" and not self.deployment.proven:
                self._try_canary()
            self._roll()
        except ReleaseError as error:
            raise self._failed(error) from error
        except BaseException:  # Ctrl-C too leaves things as they were
            self._put_back(self.slot.kubectl.retrying(RETRY_SECONDS))
            raise

    def _try_canary(self) -> None:
        """Let the new version serve a share of the callers, and decide by what is measured."""
        stable = self.slot.status()
        if self.good is None or stable is None:
            self.progress("first deployment here: nothing to compare a canary with")
            return
        if self.good.identity == self.deployment.identity:
            self.progress("this is what was last good here: it is put back without a canary")
            return
        if stable.identity == self.deployment.identity:
            self.progress("the canary has passed before; going on with the rollout")
            return
        self._start_canary(stable.wanted)
        run = AnalysisRun(
            self.slot.slug,
            self.base,
            self.deployment,
            self.settings.canary,
            self.progress,
            self.lease.check,
        )
        decision = run.measure()
        self.tables.append(canary_table(decision))
        self.progress(f"canary: {decision.verdict}: {decision.reason}")
        goes = self.settings.canary.when_inconclusive == "go"
        if decision.verdict == "promote" or (decision.verdict == "inconclusive" and goes):
            return
        raise RefusedError(
            f"canary of {self.deployment.identity}: {decision.verdict}",
            expected="not worse than the stable version",
            found=decision.reason,
            next_step="correct the model and release it as a new version"
            if decision.verdict == "abort"
            else "send more traffic, or raise duration_seconds or load_per_second under "
            "kubernetes.canary, or set when_inconclusive: go there to accept such a canary",
        )

    def _start_canary(self, stable_replicas: int) -> None:
        replicas = canary_analysis.replicas(self.settings.canary.share, stable_replicas)
        workload = Workload(self.deployment.identity, self.deployment.image, self.settings)
        self.progress(f"canary: {replicas} beside {stable_replicas} stable pods")
        self.lease.check()
        self.slot.kubectl.apply(self.slot.manifest(workload, replicas))
        members = self._follow(CANARY)
        check_pods(self.base, members, self.deployment.identity)
        verify_pods(self.base, members, self.verify)

    def _roll(self) -> None:
        """Roll the stable Deployment over, verify, watch; then this is what is good."""
        slot = self.slot
        self.lease.check()
        slot.kubectl.apply(self.manifest)
        least = minimum(self.manifest)
        found = slot.status()
        # The manifests leave the number to the autoscaler, which is slow at the first deploy.
        if self.good is None and found and found.wanted < least:
            slot.kubectl.run("scale", "deployment", slot.slug, f"--replicas={least}")
        members = self._follow(STABLE)
        check_pods(self.base, members, self.deployment.identity)
        self.progress(f"{len(members)} pods answer as {self.deployment.identity}; smoke suite")
        self.verify(f"{self.base}/services/{slot.slug}:http/proxy")
        watched = slot.environment == "production" and self.good is not None
        if watched and not self.deployment.proven:
            self._bake()
        self.lease.check()
        slot.commit(Good(self.manifest, self.deployment.identity))
        slot.remove_canary()
        if self.good:
            slot.remove_others(self.good.manifest, self.manifest)

    def _bake(self) -> None:
        """Watch the new pods for a while: one that restarts or is not ready ends the deploy."""
        seconds = self.settings.canary.bake_seconds
        self.progress(f"watching the new pods for {seconds:g} s")
        begun = {pod.uid: pod.restarts for pod in self._stable_pods()}
        for _ in polls(seconds, every=WATCH_SECONDS) if seconds else ():
            self.lease.check()
            for pod in self._stable_pods():
                if pod.trouble or pod.restarts > begun.get(pod.uid, 0):
                    raise OutsideError(
                        f"pod {pod.name} during the bake time",
                        expected=f"no restart in {seconds:g} s",
                        found=pod.trouble or f"{pod.restarts} restarts",
                        next_step="read its last log lines in the report and correct the cause",
                    )

    def _stable_pods(self) -> Sequence[Pod]:
        return look(self.slot.kubectl, self.slot.slug).pods[STABLE]

    def _follow(self, track: str) -> list[Pod]:
        seconds = self.settings.start_seconds + SPARE_SECONDS
        return follow(self.slot.kubectl, self.slot.slug, track, seconds, self.progress)

    def _failed(self, error: ReleaseError) -> DetailedError:
        """The error to raise: its cause, what was put back, and tables for an operator."""
        kubectl = self.slot.kubectl.retrying(RETRY_SECONDS)
        seen = causes(kubectl, self.slot.slug)
        tables = [*self.tables, *diagnose(kubectl, self.slot.slug, self.began)]
        known = [cause for cause in seen if cause not in error.found]
        try:
            state = "nothing was put back" if self.lease.lost else self._put_back(kubectl)
        except ReleaseError as failure:
            state = f"{self.slot.environment} is NOT as before: {failure}"
        detailed = DetailedError(
            error.what,
            expected=error.expected,
            found="; ".join(filter(None, (error.found, *known[:1]))),
            next_step=f"{error.next_step}; {state}",
        )
        detailed.tables = tables
        return detailed

    def _put_back(self, kubectl: Kubectl) -> str:
        """Remove the canary, apply what was good, and look whether it serves.

        Returns:
            What is so now, in words.

        Raises:
            ReleaseError: it is not as before.
        """
        self.lease.check(RETRY_SECONDS)
        slot = Slot(kubectl, self.slot.k8s, self.slot.environment, self.slot.model)
        environment, good = slot.environment, self.good
        if good is None:
            slot.remove()
            for track in (STABLE, CANARY):
                until_gone(kubectl, slot.slug, track, PUT_BACK_SECONDS)
            return f"{environment} is as before: nothing serves {slot.model} there"
        slot.remove_canary()
        found = slot.status()
        if found is None or found.identity != good.identity or not found.complete:
            self.progress(f"putting back {good.identity}")
            kubectl.apply(good.manifest)
            slot.remove_others(self.manifest, good.manifest)
        members = follow(kubectl, slot.slug, STABLE, PUT_BACK_SECONDS, self.progress)
        until_gone(kubectl, slot.slug, CANARY, PUT_BACK_SECONDS)
        check_pods(self.base, members, good.identity)
        return f"{environment} is as before: {len(members)} pods answer as {good.identity}"
