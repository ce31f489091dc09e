"""Export and import of runs as *bundles*: one file with the study, the events and the rounds of a run."""

from engine.export.bundles import ExportReport, ImportReport, Report, open_bundle, write_bundle

__all__ = ["ExportReport", "ImportReport", "Report", "open_bundle", "write_bundle"]
