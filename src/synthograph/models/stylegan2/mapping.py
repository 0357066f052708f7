"""The mapping network: latents and labels to styles (Karras et al. 2019, section 2)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams
from synthograph.models.inputs import require_label, require_same_count, require_shape
from synthograph.models.stylegan2.layers import Linear
from synthograph.models.styles import truncate
from synthograph.ops.activation import rms_normalise

# n image, z latent, c label, s style row, w width of a style


class MappingNetwork(nn.Module):
    """Latent and label to style (fully connected layers with learning-rate multiplier 0.01).

    Args:
        z_dim: width of the latent; 0 where only the label is mapped.
        label_dim: width of the label vector; 0 for none.
        w_dim: width of the style.
        num_ws: rows that the style is repeated to; None keeps one row, [n, w_dim].
        layers: number of fully connected layers.
        width: width of the layers before the last; None for `w_dim`.
        embedding: width of the embedded label; None for `w_dim`.
        rate: learning-rate multiplier of the layers.
    """

    w_avg: Tensor | None

    def __init__(
        self,
        *,
        z_dim: int,
        label_dim: int,
        w_dim: int,
        num_ws: int | None,
        layers: int,
        width: int | None = None,
        embedding: int | None = None,
        rate: float = 0.01,
    ) -> None:
        super().__init__()
        self.z_dim, self.label_dim, self.w_dim, self.num_ws = z_dim, label_dim, w_dim, num_ws
        embedded = (embedding or w_dim) if label_dim else 0
        self.embed = Linear(label_dim, embedded) if label_dim else None
        widths = [z_dim + embedded, *[width or w_dim] * (layers - 1), w_dim]
        self.layers = nn.ModuleList(
            Linear(i, o, activate=True, rate=rate)
            for i, o in zip(widths[:-1], widths[1:], strict=True)
        )
        self.register_buffer("w_avg", None if num_ws is None else torch.zeros(w_dim))

    def forward(
        self,
        z: Float[Tensor, "n z"] | None,
        label: Float[Tensor, "n c"] | None = None,
        *,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> Tensor:
        """Map latents to styles.

        Args:
            z: standard normal latents, [n, z_dim].
            label: one-hot classes or label vectors, [n, label_dim].
            truncation_psi: pulls styles to their mean; 1 leaves them, 0 gives the mean.
            truncation_cutoff: number of rows that are pulled; None for all.

        Returns:
            Styles [n, num_ws, w_dim], or [n, w_dim] for a label mapping.

        Raises:
            UserError: latents or labels do not fit the network, or each other.
        """
        parts = []
        if self.z_dim:
            z = require_shape(z, [self.z_dim], "z")
            parts.append(rms_normalise(z.float()))
        if self.embed is not None:
            label = require_label(label, self.label_dim)
            if z is not None:
                require_same_count(z, label)
            parts.append(rms_normalise(self.embed(label.float())))
        elif label is not None and label.numel():
            raise UserError("label: this network is not conditional, leave the label out")
        x = torch.cat(parts, dim=1)
        for layer in self.layers:
            x = layer(x)
        if self.num_ws is None:
            return x
        rows = x[:, None].expand(-1, self.num_ws, -1)
        if truncation_psi == 1:
            return rows
        mean = self.tracked_mean().expand(len(rows), -1)
        return truncate(rows, truncation_psi, mean, truncation_cutoff)

    def class_means(
        self, label: Float[Tensor, "n c"] | None, count: int = 4096
    ) -> Float[Tensor, "n w"]:
        """Mean style of each image's own label, over `count` fixed latents.

        Raises:
            UserError: the network is not conditional, so that there is only one mean.
        """
        if label is None or not self.label_dim:
            raise UserError("truncation to the class mean needs a conditional network")
        kinds, which = label.unique(dim=0, return_inverse=True)
        z = Streams(0).normal("class means", torch.arange(count), (self.z_dim,)).to(label.device)
        means = [self(z, kind.expand(count, -1))[:, 0].mean(0) for kind in kinds]
        return torch.stack(means)[which]

    def tracked_mean(self) -> Float[Tensor, " w"]:
        """The mean style tracked in training.

        Raises:
            UserError: the network keeps none.
        """
        if self.w_avg is None:
            raise UserError(
                "this network keeps no mean style that truncation could pull to: leave the "
                "truncation at 1" + (", or pull to class means" if self.label_dim else "")
            )
        return self.w_avg
