"""What `weights` can be asked."""

from synthograph.core.request import Request


class WeightsRequest(Request):
    """List the weights that measures can use, and what is here; `get` and `import` fetch them."""
