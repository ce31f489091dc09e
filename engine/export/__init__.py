"""What leaves the store and comes back: a run as one file, a bundle."""

from engine.export.bundles import ExportReport, ImportReport, Report, open_bundle, write_bundle

__all__ = ["ExportReport", "ImportReport", "Report", "open_bundle", "write_bundle"]
