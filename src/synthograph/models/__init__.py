"""Generative models behind one interface, and the files that hold them. `base` is all that other
rooms know of a model, `registry` lists the families, `snapshot` reads and writes weights as data;
each family has a folder of its own.

Public names: `base.Family`, `base.Phase`, `base.Networks`, `registry.family`, `snapshot.load`,
`snapshot.Snapshot`.
"""
