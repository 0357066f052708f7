"""Whether synthetic images give away those that a generator was trained on.

Training images and images of other patients (the hold-out) are compared with synthetic ones: the
nearest of each by features (`memorisation`), copies under transforms, with a search that calibrates
itself on the user's data (`copies`), membership inference (`membership`), distances of embeddings
(`embeddings`), and augmentations of training that show in synthetic images (`leaks`). First of all
the hold-out is searched for training images (`overlap`): with them in it nothing can be decided.
`audit` puts all of it together under one verdict, with its rule and its limits.

Public names: `audit.AuditSets`, `audit.audit`, `audit.check`, `audit.Audited`,
`memorisation.measure`, `findings.judge`, `verdict.decide`, `verdict.RULE`,
`copies.find_copies`, `identical.find_identical`, `overlap.content_overlap`,
`membership.membership`, `leaks.leaked_augmentations`, `pairs.picture`.
"""
