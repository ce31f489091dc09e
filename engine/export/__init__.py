"""What leaves the store and comes back: a run as one file, a bundle."""

from engine.export.bundles import Opened, Report, Written, open_bundle, write_bundle

__all__ = ["Opened", "Report", "Written", "open_bundle", "write_bundle"]
