"""Files in, one table of typed columns out: CSV in its dialects, Parquet, Arrow, .npz, bundled data sets."""

from training.tables.embedded import EMBEDDED, embedded_table
from training.tables.files import READS, read_table
from training.tables.table import Reading, Remark, Table, counted, listing, refuse

__all__ = [
    "EMBEDDED",
    "READS",
    "Reading",
    "Remark",
    "Table",
    "counted",
    "embedded_table",
    "listing",
    "read_table",
    "refuse",
]
