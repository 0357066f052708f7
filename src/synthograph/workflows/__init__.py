"""Jobs from a request to a result, one file each: the only room that wires working rooms together,
and the Python API (`synthograph.train`, `synthograph.evaluate` and so on).
"""
