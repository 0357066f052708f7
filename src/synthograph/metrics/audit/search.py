"""Search for the training images that are most like each image of a set, for sets of any size."""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from synthograph.archive.batches import ImageSet
from synthograph.core.files import disk_errors
from synthograph.core.progress import Tracks, silent
from synthograph.core.seeds import Streams
from synthograph.metrics.audit import matcher
from synthograph.metrics.audit.matcher import LUMA, Pose
from synthograph.metrics.audit.transforms import plant

# q query, k candidate, s feature, c component, n training image

KEEP = 4
"""Candidates of which the agreement is measured in full detail."""
FIRST, AGAIN, POSES = 8, 5, 3
"""Candidates of the search, of every second search, and poses in which it is made."""
PADDED = 200
"""Training images that are padded to learn how alike others are to such, about."""
BLOCK, PAIRS, IMAGES = 128, 32, 256
"""Queries, pairs and training images at once; so few pairs stay in a processor's cache."""
LARGEST = 0.999
"""Agreement that is taken for the largest."""
NONE = 20.0
"""Below any evidence."""
MIN_BRIGHTNESS = 0.25
"""Share of the variance of detail that brightness must hold to be searched by alone."""
MIN_VARIANCE = 0.1
"""Share of the strongest component below which a component of the channels is left out."""


@dataclass(frozen=True)
class Candidates:
    """Candidates of a set of images, the best aligned first.

    Attributes:
        train: their places among the training images.
        agreement: correlation in each band, and their mean, -1..1.
        evidence: Fisher's transform (1915) of the agreement, and by how much it exceeds that of the
            best candidate of another patient: images of one kind are all alike to some degree, but
            a copy is more like its source than like any other image.
        padded: whether an image shows padding: the second half of its candidates are those of what
            is within.
    """

    train: Int64[Tensor, "q k"]
    agreement: Float[Tensor, "q k s"]
    evidence: Float[Tensor, "q k e"]
    padded: Bool[Tensor, " q"]

    @classmethod
    def of(
        cls,
        train: Int64[Tensor, "q k"],
        agreement: Float[Tensor, "q k s"],
        groups: Int64[Tensor, " n"],
    ) -> "Candidates":
        """From the agreement of candidates, and the groups of all training images."""
        stretched = torch.atanh(agreement.clamp(-LARGEST, LARGEST))  # finite for equal images
        group = groups[train]
        strange = (group[:, :, None] != group[:, None, :])[..., None]
        rival = stretched[:, None].masked_fill(~strange, -torch.inf).amax(2)
        margin = torch.where(rival.isfinite(), stretched - rival, 0.0)
        padded = torch.zeros(len(train), dtype=torch.bool)
        return cls(train, agreement, torch.cat((stretched, margin), dim=2), padded)

    @property
    def overall(self) -> Float[Tensor, " q"]:
        """The highest agreement over all bands together."""
        return self.agreement[..., len(matcher.EDGES) - 1 :: len(matcher.EDGES)].amax((1, 2))

    @classmethod
    def joined(cls, parts: Iterable["Candidates"]) -> "Candidates":
        """Candidates of several parts, concatenated."""
        every = [(p.train, p.agreement, p.evidence, p.padded) for p in parts]
        return cls(*(torch.cat(each) for each in zip(*every, strict=True)))

    def beside(self, rows: Int64[Tensor, " p"], inner: "Candidates | None") -> "Candidates":
        """The same, and candidates of what padding leaves of some images; of the others as many
        that agree in nothing.
        """
        train = torch.cat((self.train, self.train), dim=1)
        agreement, evidence = (
            torch.cat((x, torch.full_like(x, none)), dim=1)
            for x, none in ((self.agreement, -1.0), (self.evidence, -NONE))
        )
        padded, k = self.padded.clone(), self.train.shape[1]
        if inner is not None:
            train[rows, k:], agreement[rows, k:] = inner.train, inner.agreement
            evidence[rows, k:] = inner.evidence
            padded[rows] = True
        return Candidates(train, agreement, evidence, padded)


class Index:
    """Training images, ready to be searched.

    Images at the size of the comparison lie in a nameless file; in memory are some hundred numbers
    of each.

    Args:
        images: the training images.
        folder: where the file may be.
        tracks: shows progress of searches.

    Raises:
        DiskFullError: there is no space for it.
    """

    def __init__(self, images: ImageSet, folder: Path, tracks: Tracks = silent) -> None:
        self.images, self.folder, self.tracks = images, folder, tracks
        # with the sets, so that none of them is forgotten and its number given to another one
        self._known: dict[tuple[int, bytes, bool], tuple[ImageSet, Candidates]] = {}
        self._padded: dict[bytes, Candidates] = {}
        self._basis, self._grey, self._searched = _components(images)
        self._bank, self._sides = matcher.bank(), matcher.dihedral()
        self._poses = Pose(
            (self._bank.matrix[None] @ self._sides[:, None]).reshape(-1, 2, 2),
            self._bank.shift.repeat(len(self._sides), 1),
        )
        middle = []
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                for batch in images.batches():
                    fine = self.fine(self.small(batch))
                    file.write(fine.to(torch.float16).numpy().tobytes())
                    part = fine[:, : self._searched]
                    middle.append(matcher.medium(part, torch.ones_like(part[:, :1]))[0])
                file.flush()
                shape = (images.count, *fine.shape[1:])
                self._stored = np.memmap(file, dtype=np.float16, mode="r", shape=shape)
        self._middle = torch.cat(middle)
        self._coarse = matcher.small(self._middle)
        self._mean = self._middle.mean(0)

    def small(self, pixels: Tensor) -> Float[Tensor, "q _ _ _"]:
        """Integer images in [0, 1], at the size of the comparison."""
        values = pixels.to(torch.float32) / self.images.spec.max_value
        return matcher.resized(values, matcher.FINE)

    def fine(self, small: Float[Tensor, "q _ h w"]) -> Float[Tensor, "q c h w"]:
        """Components of images of the comparison's size."""
        return torch.einsum("kc,nchw->nkhw", self._basis, small)

    def candidates(
        self, images: ImageSet, rows: Int64[Tensor, " q"], what: str, *, own: bool = False
    ) -> Candidates:
        """Candidates of images of a set, which are searched once however often they are asked for.

        Args:
            images: the set.
            rows: places of the images in it, sorted.
            what: name of the work.
            own: whether training images of their own group do not count.
        """
        key = (id(images), rows.numpy().tobytes(), own)
        if key not in self._known:
            batches = self.tracks(what)(images.at(rows), -(-images.count // images.batch))
            found = Candidates.joined(
                self.search(pixels, images.groups[here] if own else None)
                for here, pixels in batches
                if len(here)
            )
            self._known[key] = (images, found)
        return self._known[key][1]

    def among_others(self, rows: Int64[Tensor, " q"]) -> Candidates:
        """Candidates of training images, those of their own group left out."""
        what = "training images against other groups"
        return self.candidates(self.images, rows, what, own=True)

    def padded_among_others(self, rows: Int64[Tensor, " q"]) -> Candidates:
        """The same of some of these training images with padding: less of them is seen, so others
        are more like them.
        """
        some = rows[:: max(1, len(rows) // PADDED)]
        key = some.numpy().tobytes()
        if key not in self._padded:
            found = list[Candidates]()
            for here, pixels in self.images.at(some):
                for name, part in (("pad", slice(0, None, 2)), ("screenshot", slice(1, None, 2))):
                    if len(here[part]):
                        framed = plant(name, pixels[part], here[part], Streams(0), pixels[part])
                        found.append(self.search(framed, self.images.groups[here[part]]))
            self._padded[key] = Candidates.joined(found)
        return self._padded[key]

    def search(self, pixels: Tensor, groups: Int64[Tensor, " q"] | None = None) -> Candidates:
        """Candidates of integer images [q, channels, h, w].

        Args:
            pixels: the images.
            groups: patient of every image, whose own images are passed over; None to see all.
        """
        return Candidates.joined(
            self._block(pixels[s : s + BLOCK], None if groups is None else groups[s : s + BLOCK])
            for s in range(0, len(pixels), BLOCK)
        )

    def _block(self, pixels: Tensor, groups: Tensor | None) -> Candidates:
        """Candidates of few images: as they are, and without their padding if they show some."""
        small = self.small(pixels)
        fine, shown = self.fine(small), matcher.shown(small)
        hidden = None if groups is None else groups[:, None] == self.images.groups[None]
        whole = self._seen(fine, torch.ones_like(shown), hidden)
        padded = (shown < 1).flatten(1).any(1).nonzero()[:, 0]
        if not len(padded):
            return whole.beside(padded, None)
        part = None if hidden is None else hidden[padded]
        return whole.beside(padded, self._seen(fine[padded], shown[padded], part))

    def _seen(
        self,
        fine: Float[Tensor, "q c h w"],
        shown: Float[Tensor, "q 1 h w"],
        hidden: Bool[Tensor, "q n"] | None,
    ) -> Candidates:
        """Candidates by what is shown of images."""
        middle, there = matcher.medium(fine[:, : self._searched], shown)
        places, start = self._first(middle, matcher.framed(shown), hidden)
        poses, reached = self._aligned(middle, there, places, start)
        again, start = self._second(middle, there, poses, reached, hidden)
        later, agreed = self._aligned(middle, there, again, start)
        places, reached = torch.cat((places, again), 1), torch.cat((reached, agreed), 1)
        every = _side_by_side(poses, later, len(fine))
        reached = _once(places, reached)
        chosen = reached.topk(min(KEEP, reached.shape[1]), dim=1).indices
        rows = chosen + torch.arange(len(fine))[:, None] * places.shape[1]
        return self._compared(fine, shown, places.gather(1, chosen), every.take(rows.flatten()))

    def _first(
        self, middle: Float[Tensor, "q c h w"], frame: Pose, hidden: Tensor | None
    ) -> tuple[Int64[Tensor, "q k"], Pose]:
        """The training images most alike at low resolution, and their poses."""
        alike, numbers = self._alike(matcher.small(matcher.warped(middle, frame)[0]))
        alike = alike if hidden is None else alike.masked_fill(hidden, -2.0)
        places = alike.topk(min(FIRST, self.images.count), dim=1).indices
        back = frame.inverse().take(torch.arange(len(middle)).repeat_interleave(places.shape[1]))
        return places, self._poses.take(numbers.gather(1, places).flatten()).after(back)

    def _alike(
        self, coarse: Float[Tensor, "q c h w"]
    ) -> tuple[Float[Tensor, "q n"], Int64[Tensor, "q n"]]:
        """How alike all training images are at low resolution, and the number of the best pose."""
        inverse = Pose(self._sides.transpose(1, 2), torch.zeros(len(self._sides), 2))
        rows = matcher.descriptors(coarse, inverse)
        q, sides, p = len(coarse), len(self._sides), len(self._bank.shift)
        values, numbers = [], []
        for start in range(0, self.images.count, IMAGES):
            posed = matcher.descriptors(self._coarse[start : start + IMAGES], self._bank)
            alike = (rows @ posed.T).view(q, sides, -1, p)
            over_poses = alike.max(3)
            best = over_poses.values.max(1)
            values.append(best.values)
            pose = over_poses.indices.gather(1, best.indices[:, None])[:, 0]
            numbers.append(best.indices * p + pose)
        return torch.cat(values, 1), torch.cat(numbers, 1)

    def _aligned(
        self,
        middle: Float[Tensor, "q c h w"],
        there: Float[Tensor, "q 1 h w"],
        places: Int64[Tensor, "q k"],
        start: Pose,
    ) -> tuple[Pose, Float[Tensor, "q k"]]:
        """Poses of candidates after alignment, and correlations."""
        queries, seen = (x.repeat_interleave(places.shape[1], dim=0) for x in (middle, there))
        pose, reached = matcher.align(queries, seen, self._middle[places.flatten()], start, 5)
        return pose, reached.view(places.shape)

    def _second(
        self,
        middle: Float[Tensor, "q c h w"],
        there: Float[Tensor, "q 1 h w"],
        poses: Pose,
        reached: Float[Tensor, "q k"],
        hidden: Tensor | None,
    ) -> tuple[Int64[Tensor, "q m"], Pose]:
        """Candidates after the image was brought into the best poses found, and these poses."""
        q, k = reached.shape
        best = reached.topk(min(POSES, k), dim=1).indices
        used = poses.take((best + torch.arange(q)[:, None] * k).flatten())
        count = best.shape[1]
        both = torch.cat((middle, there), 1).repeat_interleave(count, dim=0)
        seen, inside = matcher.warped(both, used.inverse())
        seen, inside = seen[:, :-1], inside * (seen[:, -1:] > 0.9)
        # what all training images share tells nothing of which one it is
        rows = ((seen - self._mean) * inside).flatten(1)
        others = (self._middle - self._mean).flatten(1)
        square = others.square().view(self.images.count, middle.shape[1], -1).sum(1)
        norm = (inside.flatten(1) @ square.T).clamp_min(1e-6).sqrt()
        alike = (rows @ others.T / norm).view(q, count, -1)
        if hidden is not None:
            alike = alike.masked_fill(hidden[:, None], -torch.inf)
        places = alike.topk(min(AGAIN, self.images.count), dim=2).indices
        each = torch.arange(len(used.shift)).repeat_interleave(places.shape[2])
        return places.flatten(1), used.take(each)

    def _compared(
        self,
        fine: Float[Tensor, "q c h w"],
        shown: Float[Tensor, "q 1 h w"],
        places: Int64[Tensor, "q k"],
        poses: Pose,
    ) -> Candidates:
        """Agreement in full detail after a last alignment."""
        known, rows = torch.unique(places, return_inverse=True)
        others = torch.from_numpy(self._stored[known.numpy()].astype(np.float32))
        queries, rows = torch.arange(len(fine)).repeat_interleave(places.shape[1]), rows.flatten()
        whole = torch.ones_like(others[:, :1])
        count = self._searched
        sharp = matcher.detailed(fine[:, :count], shown)
        theirs = matcher.detailed(others[:, :count], whole)
        found = []
        for start in range(0, len(rows), PAIRS):
            part = slice(start, start + PAIRS)
            one, two, begin = queries[part], rows[part], poses.take(part)
            pose, _ = matcher.align(sharp[one], shown[one], theirs[two], begin, 4)
            found.append(matcher.bands(fine[one], shown[one], others[two], pose, self._grey))
        agreement = torch.cat(found).view(*places.shape, -1)
        return Candidates.of(places, agreement, self.images.groups)


def _components(images: ImageSet) -> tuple[Float[Tensor, "k c"], int, int]:
    """Weights of the components that images are compared in, how many of them are grey, and how
    many are searched by.

    First comes the brightness of every modality, then the strongest of what colour adds to it, of
    images less their local mean. The search goes by brightness alone, which a copy in grey keeps,
    unless it holds little of what images show.
    """
    channels = images.spec.channels
    total = torch.zeros(channels, channels, dtype=torch.float64)
    for batch in images.batches():
        values = batch.to(torch.float32) / images.spec.max_value
        part = matcher.resized(values, 2 * matcher.MIDDLE)
        sigma = 0.1 * max(part.shape[2:])
        local = matcher.blur(part, sigma) / matcher.blur(torch.ones_like(part[:1, :1]), sigma)
        rows = (part - local).transpose(0, 1).flatten(1).to(torch.float64)
        total += rows @ rows.T
    grey = _brightness(images.spec.modalities)
    rest = torch.eye(channels, dtype=torch.float64) - grey.T @ grey
    values, vectors = torch.linalg.eigh(rest @ total @ rest)
    strong = values >= MIN_VARIANCE * torch.linalg.eigvalsh(total).max()
    basis = torch.cat((grey, vectors[:, strong].T))
    share = float((grey @ total @ grey.T).trace() / total.trace().clamp_min(1e-12))
    searched = len(grey) if share >= MIN_BRIGHTNESS else len(basis)
    return basis.to(torch.float32), len(grey), searched


def _brightness(modalities: Mapping[str, int]) -> Float64[Tensor, "m c"]:
    """Rows of length 1 that give the brightness of every modality (ITU-R BT.601 for colours)."""
    rows = torch.zeros(len(modalities), sum(modalities.values()), dtype=torch.float64)
    start = 0
    for row, count in zip(rows, modalities.values(), strict=True):
        row[start : start + count] = torch.tensor(LUMA if count == 3 else (1.0,) * count)
        start += count
    return rows / rows.norm(dim=1, keepdim=True)


def _side_by_side(one: Pose, other: Pose, q: int) -> Pose:
    """Poses of two lists of candidates, query by query."""
    matrices = [pose.matrix.view(q, -1, 2, 2) for pose in (one, other)]
    shifts = [pose.shift.view(q, -1, 2) for pose in (one, other)]
    return Pose(torch.cat(matrices, 1).flatten(0, 1), torch.cat(shifts, 1).flatten(0, 1))


def _once(places: Int64[Tensor, "q k"], reached: Float[Tensor, "q k"]) -> Float[Tensor, "q k"]:
    """The same, with -2 where the candidate stands better elsewhere in its row."""
    same = places[:, :, None] == places[:, None, :]
    k = places.shape[1]
    earlier = torch.arange(k)[:, None] > torch.arange(k)[None]
    better = (reached[:, None, :] > reached[:, :, None]) | (
        (reached[:, None, :] == reached[:, :, None]) & earlier
    )
    return reached.masked_fill((same & better).any(2), -2.0)
