"""What `doctor` can be asked."""

from synthograph.core.request import Request


class DoctorRequest(Request):
    """Say which versions and devices are here, which fast paths are used and why, and what missing
    extras would add.
    """
