"""Readers of what a team already has: one per kind of source.

They find files, pair them, attach labels and groups, and decode. Each yields
`core.record.SourceItem`s whose pictures are decoded only when a worker gets to them; cropping,
resizing, tiling and writing belong to the room `archive`.

Public names are imported from the modules themselves: `files.FileSourceOptions`,
`files.read_files`, `files.FileSource`, `files.Reject`; `raster.read_image`, `raster.read_mask`,
`raster.FileDecoder`; `tables.LabelTable`, `tables.parse_columns`,
`tables.read_dataset_json`, `tables.compile_name_regex`; `phantoms` (procedural test objects).
"""
