"""Software and machine of a computation, in words that may be published."""

from collections.abc import Iterable

from synthograph.results.base import Count, Schema, UnlessEmpty


class Environment(Schema):
    """Where something was computed: `core.machine` has it of this process.

    Attributes:
        synthograph: version, as `python` and `torch` are.
        processor: what it calls itself.
        gpu: likewise, that of the first process; empty where the processor computed.
        processes: that computed together, each on a GPU of its own where there is one.
        threads: of every process, on its processor.
    """

    synthograph: str
    python: str
    torch: str
    processor: str
    gpu: UnlessEmpty[str] = ""
    processes: Count = 1
    threads: Count

    def __str__(self) -> str:
        gpus = f"{self.processes} × {self.gpu}, " if self.gpu else ""
        threads = f"{self.threads} thread{'s' * (self.threads != 1)}"
        each = f" in each of {self.processes} processes" if self.processes > 1 else ""
        return (
            f"synthograph {self.synthograph}, Python {self.python}, PyTorch {self.torch}; "
            f"{gpus}{self.processor}, {threads}{each}"
        )


def distinct(environments: Iterable[Environment | None]) -> tuple[Environment, ...]:
    """Each once, in the order of its first use; none where that of a part is not known, since half
    of the truth would be told for the whole.
    """
    found = dict.fromkeys(environments)
    return () if None in found else tuple(each for each in found if each is not None)


def told(environments: Iterable[Environment | None]) -> str:
    """Environments in words, numbered where there are several; empty where they are not known."""
    found = list(map(str, distinct(environments)))
    if len(found) < 2:
        return "".join(found)
    numbered = " ".join(f"({place}) {each}." for place, each in enumerate(found, start=1))
    return f"{len(found)} different environments: {numbered}".rstrip(".")
