"""Public cohorts as data: what their tables and names of files say, and where they mislead.

A cohort is one file, `published/NAME.toml`, read by `record.load_cohort`; `rows.read_cohort` finds
its tables beside images and says of every image its class, group, split and further columns.
"""

from synthograph.sources.cohorts.record import Cohort as Cohort
from synthograph.sources.cohorts.record import cohort_names as cohort_names
from synthograph.sources.cohorts.record import load_cohort as load_cohort
