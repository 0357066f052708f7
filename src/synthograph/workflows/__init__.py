"""The jobs of the package, one file each: `run(request, *, progress) -> result`. The only room that
wires working rooms together, and the Python API: `synthograph.prepare(...)` calls `prepare.run`.

A workflow neither prints nor knows the command line. What cannot wait for the result it tells its
`progress`; what was asked is a frozen request of `requests`, which can be read without torch.
Ctrl-C leaves what the same request continues with.

Public names: `run` (a request -> the result of its job), `request_of` (what a job can be asked) and
`function` (a job as a function).
"""

import importlib
from collections.abc import Callable
from inspect import Parameter, Signature, cleandoc
from typing import Any, get_origin

from synthograph.core.devices import torch_as_it_was
from synthograph.core.errors import UserError
from synthograph.core.progress import Printed, Progress, for_people
from synthograph.core.request import Request

_REQUESTS = (
    *("requests", "downstream_requests", "latent_requests", "annotate_requests"),
    *("search_requests", "export_requests"),
)
"""Modules that hold them."""


def run(request: Request, *, progress: Progress) -> Any:  # noqa: ANN401 - each job has its own
    """Do what is asked.

    Args:
        request: of any job, which is imported only now.
        progress: who listens meanwhile.

    Returns:
        What the `run` of the job's module returns.
    """
    module = importlib.import_module(f"synthograph.workflows.{request.job()}")
    with torch_as_it_was():
        return module.run(request, progress=progress)


def request_of(job: str) -> type[Request]:
    """What a job can be asked."""
    name = f"{job.title().replace('_', '')}Request"
    modules = (importlib.import_module(f"synthograph.workflows.{each}") for each in _REQUESTS)
    kind: type[Request] = next(getattr(each, name) for each in modules if hasattr(each, name))
    return kind


def function(job: str) -> Callable[..., Any]:
    """A job as a function, with a keyword for each field of its request. Where a command ends in a
    list, such as the paths of a report, the function takes them one after the other, too.

    Args:
        job: such as "prepare".
    """
    request = request_of(job)
    keyword = Parameter.KEYWORD_ONLY
    places = request.positional()
    several = bool(places) and get_origin(request.model_fields[places[-1]].annotation) is tuple

    def call(*given: Any, progress: Progress | None = None, **options: Any) -> Any:  # noqa: ANN401
        if len(given) == 1 and isinstance(given[0], request) and not options:
            asked = given[0]
        else:
            last = len(places) - 1
            if several and len(given) > last and not isinstance(given[last], list | tuple):
                given = (*given[:last], given[last:])
            if len(given) > len(places):
                raise UserError(
                    f"{job} takes {len(places)} values by place ({', '.join(places) or 'none'}), "
                    f"got {len(given)}: name the others, as name=value"
                )
            placed = dict(zip(places, given, strict=False))
            if twice := next((name for name in placed if name in options), None):
                raise UserError(
                    f"{job} got {twice} twice, by place and by name: leave {twice}= out, or the "
                    "value by place"
                )
            asked = request.parse({**placed, **options})
        if progress is None:  # a dry run is asked for what it prints
            progress = Printed() if getattr(asked, "dry_run", False) else for_people()
        return run(asked, progress=progress)

    call.__name__ = call.__qualname__ = job
    call.__doc__ = _documentation(request)
    call.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            *(
                Parameter(
                    name,
                    Parameter.POSITIONAL_OR_KEYWORD if name in places else keyword,
                    default=Parameter.empty if field.is_required() else field.default,
                    annotation=field.annotation,
                )
                for name, field in sorted(
                    request.model_fields.items(), key=lambda item: item[0] not in places
                )
            ),
            Parameter("progress", keyword, default=None, annotation=Progress | None),
        ]
    )
    return call


def _documentation(request: type[Request]) -> str:
    """What the job does and what it can be asked."""
    fields = (f"    {name}: {f.description}." for name, f in request.model_fields.items())
    own = "    progress: who listens; by default a bar where people see it; a dry run prints."
    head = cleandoc(request.__doc__ or "")
    return "\n".join([head, "", "Args:", *fields, own])
