"""Snapshot and seeds to images: as picture files, or as an archive that says where every image
comes from.

Public names: `seeds.parse_seeds`, `generate.ImageRequest`, `generate.generate_files`,
`generate.generate_archive`.
"""
