"""What all latent tools begin with: the network, how it draws, and latents as people name them."""

from pathlib import Path

from synthograph.core.devices import Precision, pick_device
from synthograph.core.errors import UserError
from synthograph.core.progress import Progress
from synthograph.models.base import NoiseMode, TruncationCenter
from synthograph.models.published import licence, locate, named, refuse_misspelt
from synthograph.models.snapshot import Snapshot, load
from synthograph.models.snapshot_files import find_snapshot
from synthograph.sampling import latents
from synthograph.sampling.latents import Latents, Rendering, Space
from synthograph.workflows.latent_requests import Drawn, Rendered


def find_network(network: Path, progress: Progress) -> Path:
    """The file or folder of a network: a path as it is, a name or an https address as in
    `train --init-from`, downloaded unless it is here; its licence is logged.

    Raises:
        UserError: an address that is not https, a download that failed, or nothing of this name
            where another one is nearly the same.
    """
    name = named(network)
    if name is None:
        refuse_misspelt(network)
        return network
    note = licence(name)
    if note is not None:
        progress.log(f"note: {note}")
    return locate(name, track=progress.track("downloading"))


def open_network(network: Path, progress: Progress) -> Snapshot:
    """The snapshot that is meant (see `find_network`), which is told where a run directory was
    named.
    """
    network = find_network(network, progress)
    path = find_snapshot(network)
    if network.is_dir():
        progress.log(f"network: {path}")
    return load(path)


def rendering_of(request: Drawn, snapshot: Snapshot, progress: Progress) -> Rendering:
    """How the images of a request are drawn.

    Raises:
        UserError: there is no such device.
    """
    mode = request.noise_mode
    if mode != "const" and not snapshot.info.model.has_noise:
        name = snapshot.path.name
        progress.log(f"note: --noise-mode {mode} has no effect: {name} has no noise inputs")
        mode = "const"
    return Rendering(
        truncation=request.trunc,
        cutoff=request.trunc_cutoff,
        center=TruncationCenter(request.trunc_center),
        noise=NoiseMode(mode),
        batch=request.batch if isinstance(request, Rendered) else Rendering.batch,
        device=str(pick_device(request.device)),
        precision=Precision(request.precision),
    )


def open_styled(request: Drawn, network: Path, progress: Progress) -> tuple[Snapshot, Rendering]:
    """A network whose styles a latent tool works on, and how it draws; both are checked.

    Raises:
        UserError: the network has no mapping and synthesis, or no image can be drawn like this.
    """
    snapshot = open_network(network, progress)
    latents.space_of(snapshot)
    rendering = rendering_of(request, snapshot, progress)
    latents.check_rendering(snapshot, rendering)
    return snapshot, rendering


def class_of(snapshot: Snapshot, name: str | None, option: str = "--class") -> str | None:
    """The class that a name or an index means; None where none is named.

    Raises:
        UserError: it is unknown, or the network is not conditional.
    """
    if name is None:
        return None
    condition = snapshot.info.condition
    try:
        return condition.classes[int(condition.one_hot(name).argmax())]
    except UserError as error:
        raise UserError(f"{option}: {error}") from None


def read_latents(
    path: Path, snapshot: Snapshot, progress: Progress, space: Space | None = None
) -> Latents:
    """Latents of a file; see `sampling.latents.read`. A file that says nothing of its network is
    accepted with a note.
    """
    found = latents.read(path, snapshot, space)
    if not found.bound:
        progress.log(
            f"note: {path} does not say which network its latents are of; if they are of another "
            f"one than {snapshot.path.name}, the images mean nothing"
        )
    return found
