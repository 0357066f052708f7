"""The dataset archive, the one format of real and of synthetic images: a stored zip or a folder
with images, `dataset.json` (classes, specification, invariances) and `manifest.csv` (one row per
image: label, group, split).

Public names: `prepare.prepare` and `prepare.PrepareOptions` (sources to archive), `reader.Archive`
and `reader.open_archive` (read), `writer.ArchiveWriter` (write), `split.split_archive` (by group,
stratified), `cache.pixel_cache` (memory-mapped pixels) and `stream.TrainingStream` (endless
shuffled batches).
"""
