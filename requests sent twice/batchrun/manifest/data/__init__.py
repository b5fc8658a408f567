"""The files beside a manifest: data files and local files."""
