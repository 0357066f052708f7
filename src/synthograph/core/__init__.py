"""What every room builds on: configuration, image specification, errors and exit codes,
devices and precision, seeds, atomic files, progress, and the record that sources hand to archives.
Knows nothing of networks.

Public names are imported from the modules themselves, so that nothing here imports torch:
`config.Config`, `spec.ImageSpec`, `errors.UserError`, `devices.pick_device`, `seeds.Streams`,
`files.atomic_path`, `progress.track`, `record.SourceItem`.
"""
