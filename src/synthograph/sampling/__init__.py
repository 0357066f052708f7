"""Snapshot and seeds to images: as single files, or as an archive that records the origin of every
image. And the latent tools, which all draw through `latents`.

Public names: `seeds.parse_seeds`, `generate.ImageRequest`, `generate.generate_files`,
`generate.generate_archive`, `latents.Latents`, `latents.Rendering`, `latents.styles`,
`latents.render`, `projection.Projector`, `tuning.tuned`.
"""
