"""Statistics on arrays, with groups (patients) as the unit: samples with groups, intervals with
their jackknife plans, scores of predictions and paired comparisons of them, permutation tests,
nearest neighbours, ranks and multiple comparisons. Measures, audits and studies use them; nothing
here knows of images, files or networks.
"""
