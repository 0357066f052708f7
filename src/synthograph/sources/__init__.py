"""Readers of what a team already has: image files, tables about them, and phantoms.

They find files, pair them, attach labels and groups, and decode. Each yields
`core.record.SourceItem`s whose pixels are decoded only when a worker gets to them; cropping,
resizing, tiling and writing belong to the room `archive`. `readers.py` maps files to their readers:
a new format is one file that holds a `base.Reader`, and one entry there.

Public names are imported from the modules themselves: `files.FileSourceOptions`,
`files.read_files`, `files.FileSource`, `files.RejectedFile`; `base.Reader`, `readers.READERS`,
`readers.FileDecoder`; `raster.read_image`, `raster.read_mask`; `tables.LabelTable`,
`tables.parse_columns`, `tables.read_dataset_json`, `tables.compile_name_regex`; `phantoms`
(procedural test objects).
"""
