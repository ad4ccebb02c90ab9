"""What a run leaves beside its model for a person: one page, and the history of its epochs as CSV.

answers, importance, layers    what is computed, as records
svg, charts, html              how records become pictures and tables
sections, page                 the page
files                          both files, written
"""

from training.report.files import HISTORY, REPORT, write_report

__all__ = ["HISTORY", "REPORT", "write_report"]
