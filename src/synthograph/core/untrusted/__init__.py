"""Everything that reads untrusted files, as data: bounded zips and folders, text, JSON and YAML,
lists of images, pickles and torch files without executing them, safetensors, downloads. Sizes are
bounded before memory is taken, no archive member leaves its folder, and no code is executed.
"""
